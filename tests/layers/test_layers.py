"""Each layer against the oracle, on shapes of its own, with batches, in both dtypes."""

import numpy as np
import oracle
import pytest
from conftest import check

from novasr_np import layers

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LENGTHS = pytest.mark.parametrize("steps", [2, 3, 7, 16, 17, 33, 50])
LAYER_TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}


def both(ours, naive, x, *arguments):
    """Run a layer on [batch, C, T] and the oracle on each [C, T] of it."""
    got = ours(x, *arguments)
    assert got.dtype == x.dtype
    want = [naive(item.tolist()) for item in x.astype(np.float64)]
    check(got, np.stack(want), LAYER_TOLERANCE[x.dtype.type])


def draw(steps, channels, dtype):
    return np.random.default_rng(steps).normal(size=(2, channels, steps)).astype(dtype)


@DTYPES
@LENGTHS
@pytest.mark.parametrize(("inputs", "outputs", "taps"), [(1, 5, 7), (3, 2, 11), (4, 1, 7)])
@pytest.mark.parametrize("biased", [True, False])
def test_conv1d(steps, dtype, inputs, outputs, taps, biased):
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 0.2, (outputs, inputs, taps)).astype(dtype)
    bias = rng.normal(size=outputs).astype(dtype) if biased else None

    def naive(x):
        listed = bias.tolist() if biased else None
        return oracle.conv1d(x, weight.tolist(), listed, taps // 2)

    both(layers.conv1d, naive, draw(steps, inputs, dtype), weight, bias)


@DTYPES
@LENGTHS
@pytest.mark.parametrize("taps", [3, 7, 11])
@pytest.mark.parametrize("dilation", [3, 5])
def test_conv1d_dilated(steps, dtype, taps, dilation):
    weight = np.random.default_rng(1).normal(0, 0.2, (2, 3, taps)).astype(dtype)

    def naive(x):
        return oracle.conv1d(x, weight.tolist(), None, taps // 2 * dilation, dilation)

    both(layers.conv1d, naive, draw(steps, 3, dtype), weight, None, dilation)


@DTYPES
@LENGTHS
def test_interpolate3(steps, dtype):
    both(layers.interpolate3, oracle.interpolate, draw(steps, 3, dtype))


@DTYPES
@LENGTHS
@pytest.mark.parametrize("ratio", [(3, 1), (3, 2), (2, 3), (7, 5)])
def test_interpolate(steps, dtype, ratio):
    up, down = ratio
    count = max(1, steps * up // down)
    x = draw(steps, 3, dtype)
    both(layers.interpolate, lambda x: oracle.interpolate_to(x, count), x, count)
    if ratio == (3, 1):
        check(layers.interpolate(x, count), layers.interpolate3(x), 1e-6)


@DTYPES
@LENGTHS
def test_the_textbooks_activation(steps, dtype):
    """The end samples held, and the sine squared."""
    f, x = np.random.default_rng(2).normal(0, 0.2, 12).astype(dtype), draw(2 * steps, 3, dtype)
    both(layers.upsample2, lambda x: oracle.upsample2_held(x, f.tolist()), x, f, "edge")
    both(layers.downsample2, lambda x: oracle.downsample2_held(x, f.tolist()), x, f, "edge")
    alpha, beta = np.random.default_rng(4).normal(0, 0.5, (2, 3)).astype(dtype)
    listed = alpha.tolist(), beta.tolist()
    both(layers.snake_beta, lambda x: oracle.snake_squared(x, *listed), x, alpha, beta, 2e-9)


@DTYPES
@LENGTHS
def test_upsample2_swapped(steps, dtype):
    f = np.random.default_rng(2).normal(0, 0.2, 12).astype(dtype)  # lopsided: the swap shows
    x = draw(steps, 3, dtype)
    both(layers.upsample2_swapped, lambda x: oracle.upsample2(x, f.tolist()), x, f)


@DTYPES
@LENGTHS
@pytest.mark.parametrize("pad", ["zeros", "edge"])
def test_upsample2(steps, dtype, pad):
    """A transposed convolution: zeros between the samples, then convolved with the filter."""
    f = np.random.default_rng(2).normal(0, 0.2, 12).astype(dtype)
    x = draw(steps, 3, dtype)
    held = np.pad(x, [(0, 0), (0, 0), (3, 3)], mode={"zeros": "constant", "edge": "edge"}[pad])
    stuffed = np.zeros((2, 3, 2 * steps + 12))
    stuffed[..., ::2] = held
    taps = 2 * np.float64(f)
    want = np.array([[np.convolve(row, taps) for row in item] for item in stuffed])
    got = layers.upsample2(x, f, pad=pad)
    assert got.dtype == dtype
    check(got, want[..., 11:][..., : 2 * steps], LAYER_TOLERANCE[dtype])


@pytest.mark.parametrize("layer", ["upsample2", "upsample2_swapped", "downsample2"])
def test_edges_held_are_edges_added(layer):
    """`pad="edge"` is as if the end samples went on."""
    f = np.random.default_rng(6).normal(0, 0.2, 12)
    x = draw(20, 3, np.float64)
    function = getattr(layers, layer)
    longer = function(np.pad(x, [(0, 0), (0, 0), (10, 10)], mode="edge"), f, pad="zeros")
    got = function(x, f, pad="edge")
    more = (longer.shape[-1] - got.shape[-1]) // 2
    assert more == (5 if layer == "downsample2" else 20)
    check(got, longer[..., more:-more], 1e-13)


def test_the_swap_is_all_that_differs():
    """Of the pairs (2n + 1, 2n + 2) of the textbook's samples, away from the ends, by a filter that
    the textbook's turns round."""
    f = np.random.default_rng(7).normal(0, 0.2, 12)
    x = draw(20, 3, np.float64)
    plain = layers.upsample2(x, f[::-1], pad="zeros")[..., 3:-1]
    swapped = layers.upsample2_swapped(x, f)
    check(swapped.reshape(2, 3, -1, 2)[..., ::-1].reshape(plain.shape), plain, 1e-13)


@DTYPES
@LENGTHS
def test_downsample2(steps, dtype):
    f = np.random.default_rng(3).normal(0, 0.2, 12).astype(dtype)
    x = draw(2 * steps, 3, dtype)
    both(layers.downsample2, lambda x: oracle.downsample2(x, f.tolist()), x, f)


@DTYPES
@LENGTHS
def test_snake_beta(steps, dtype):
    alpha, beta = np.random.default_rng(4).normal(0, 0.5, (2, 3)).astype(dtype)
    both(
        layers.snake_beta,
        lambda x: oracle.snake_beta(x, alpha.tolist(), beta.tolist()),
        draw(steps, 3, dtype),
        alpha,
        beta,
    )


@pytest.mark.slow
def test_interpolate3_is_as_exact_after_an_hour_as_in_the_first_second():
    hour = 3600 * 16_000
    x = np.random.default_rng(5).normal(size=(1, hour)).astype(np.float32)
    y = layers.interpolate3(x)[:, -3000:]
    check(y, layers.interpolate3(x[:, -1001:].astype(np.float64))[:, 3:], 1e-6)


@pytest.mark.parametrize("layer", ["upsample2", "upsample2_swapped", "downsample2", "interpolate3"])
def test_input_is_left_alone(layer):
    x = draw(20, 3, np.float32)
    before = x.copy()
    arguments = () if layer == "interpolate3" else (np.ones(12, np.float32),)
    getattr(layers, layer)(x, *arguments)
    np.testing.assert_array_equal(x, before)
