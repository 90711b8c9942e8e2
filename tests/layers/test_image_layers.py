"""Layers of images and of attention, FlashSR's alone, against their formulas in loops."""

import math

import numpy as np
import pytest
from conftest import check

from novasr_np import layers

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def image_conv(x, weight, bias, stride, before, after):
    """The formula in loops over places."""
    height, width = x.shape[1:]
    taps = weight.shape[-1]
    wide = np.zeros((len(x), height + before + after, width + before + after))
    wide[:, before : before + height, before : before + width] = x
    rows, columns = (range(0, n - taps + 1, stride) for n in wide.shape[1:])
    places = [[wide[:, r : r + taps, c : c + taps] for c in columns] for r in rows]
    return np.array(
        [
            [[(w * at).sum() + b for at in row] for row in places]
            for w, b in zip(weight, bias, strict=True)
        ]
    )


@BOTH
@pytest.mark.parametrize("size", [(2, 2), (2, 5), (4, 4), (5, 2), (40, 33)])
@pytest.mark.parametrize(
    ("taps", "stride", "pads"), [(1, 1, None), (3, 1, None), (3, 2, (1, 1)), (3, 2, (0, 1))]
)
def test_conv2d_is_its_formula(dtype, size, taps, stride, pads):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, *size)), rng.normal(size=(4, 3, taps, taps))
    bias = rng.normal(size=4)
    before, after = pads or (taps // 2, taps // 2)
    want = [image_conv(row, weight, bias, stride, before, after) for row in x]
    got = layers.conv2d(*(a.astype(dtype) for a in (x, weight, bias)), stride, pads)
    assert got.dtype == dtype
    check(got, want, {np.float64: 1e-13, np.float32: 2e-5}[dtype])


def test_conv1d_with_a_stride_is_every_other_step():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 20)), rng.normal(size=(4, 3, 4))
    want = layers.conv1d(x, weight, padded=False)[..., ::3]
    check(layers.conv1d(x, weight, padded=False, stride=3), want, 1e-14)


@BOTH
def test_attention_is_its_formula_however_large_the_products(dtype):
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype(dtype)
    got = layers.attention(q * 30, k, v, heads=2)  # so large that exp alone would overflow
    assert got.dtype == dtype
    for b in range(2):
        for part in (slice(0, 3), slice(3, 6)):
            for i in range(5):
                scores = [float(30 * q[b, i, part] @ k[b, j, part]) / 3**0.5 for j in range(5)]
                shares = [math.exp(s - max(scores)) for s in scores]
                want = sum(s * v[b, j, part] for j, s in enumerate(shares)) / sum(shares)
                check(got[b, i, part], want, {np.float64: 1e-13, np.float32: 1e-4}[dtype])


@BOTH
def test_group_norm_has_each_groups_mean_and_variance(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (2, 6, 4, 5)).astype(dtype)
    weight, bias = rng.normal(size=(2, 6)).astype(dtype)
    got = layers.group_norm(x, weight, bias, groups=3, epsilon=0.1)
    assert got.dtype == dtype
    for b in range(2):
        for c in range(6):
            group = np.float64(x[b, c // 2 * 2 : c // 2 * 2 + 2])
            unit = (x[b, c] - group.mean()) / np.sqrt(group.var() + 0.1)
            check(
                got[b, c], unit * weight[c] + bias[c], {np.float64: 1e-13, np.float32: 1e-5}[dtype]
            )


@BOTH
def test_gelu_has_the_error_function(dtype):
    x = np.concatenate([np.linspace(-9, 9, 4001), [-1e30, 1e-30, 1e30]]).astype(dtype)
    want = [0.5 * value * (1 + math.erf(value / 2**0.5)) for value in x.astype(float)]
    got = layers.gelu(x)
    assert got.dtype == dtype
    level = np.maximum(1, np.abs(x))
    check(got / level, want / level, {np.float64: 1e-15, np.float32: 2e-7}[dtype])


def test_repeat2_writes_every_number_four_times():
    got = layers.repeat2(np.array([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(got, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
