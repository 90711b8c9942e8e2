"""FlashSR's layers in blocks: as the formulas have them, whatever the blocks and the threads."""

import threading
import warnings
from importlib import import_module

import numpy as np
import pytest
from conftest import check

from novasr_np import layers
from novasr_np.fast import blocked
from novasr_np.threads import available_cores, each, sharing

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])
TOLERANCE = {np.float64: 1e-13, np.float32: 1e-5}
# A piece of x, a block of 8, one more and one less, and several.
LENGTHS = pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 9, 50])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocked, "_STEPS", 8)
    monkeypatch.setattr(blocked, "_PRODUCT", 0)
    monkeypatch.setattr(blocked, "_ROW", 8)
    monkeypatch.setattr(blocked, "_BLOCK", 16)
    monkeypatch.setattr(import_module("novasr_np.layers.conv2d"), "_PLACES", 16)


def draw(*shapes, dtype=np.float64):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.5, shape).astype(dtype) for shape in shapes]


def compare(got, want):
    assert got.dtype == want.dtype
    check(got, want, TOLERANCE[got.dtype.type])


@BOTH
@LENGTHS
@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (7, 3), (11, 5)])
def test_conv1d(dtype, steps, taps, dilation):
    x, weight, bias = draw((2, 3, steps), (4, 3, taps), 4, dtype=dtype)
    got = blocked.conv1d(x, weight, bias, dilation)
    compare(got, layers.conv1d(x, weight, bias, dilation))


@pytest.mark.parametrize("stride", [1, 2, 10])
@pytest.mark.parametrize("more", [0, 1, 17, 100])
def test_conv1d_with_strides(stride, more):
    x, weight, bias = draw((2, 3, 2 * stride + more), (4, 3, 2 * stride), 4)
    options = {"padded": False, "stride": stride}
    compare(blocked.conv1d(x, weight, bias, **options), layers.conv1d(x, weight, bias, **options))


@BOTH
@LENGTHS
@pytest.mark.parametrize(("stride", "turns"), [(1, 1), (2, 2), (10, 2), (3, 3)])
def test_conv_transpose1d(dtype, steps, stride, turns):
    x, weight, bias = draw((2, 3, steps), (3, 4, stride * turns), 4, dtype=dtype)
    got = blocked.conv_transpose1d(x, weight, bias, stride, stride // 2)
    compare(got, layers.conv_transpose1d(x, weight, bias, stride, stride // 2))


@BOTH
@LENGTHS
@pytest.mark.parametrize("row", [1, 2, 5, 8, 100])
def test_snake_beta_at_twice(dtype, steps, row, monkeypatch):
    monkeypatch.setattr(blocked, "_ROW", row)
    x, up, down, alpha, beta = draw((2, 3, steps), 12, 12, 3, 3, dtype=dtype)
    want = layers.snake_beta(layers.upsample2(x, up), alpha, beta, epsilon=2e-9)
    want = layers.downsample2(want, down, pad="edge")
    compare(blocked.snake_beta_at_twice(x, up, down, alpha, beta, epsilon=2e-9), want)


@BOTH
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (8, 4), (3, 20)])
def test_upsampling_conv2d(dtype, size):
    x, weight, bias = draw((2, 3, *size), (4, 3, 3, 3), 4, dtype=dtype)
    want = layers.conv2d(layers.repeat2(x), weight, bias)
    compare(blocked.upsampling_conv2d(x, weight, bias), want)


def test_an_activation_behind_a_norm():
    x, weight, bias = draw((2, 6, 4, 5), 6, 6)
    want = layers.silu(layers.group_norm(x, weight, bias, groups=3))
    compare(layers.group_norm(x, weight, bias, groups=3, then=layers.silu), want)


def test_the_same_bytes_for_any_number_of_threads():
    x, image = draw((2, 6, 203), (2, 6, 20, 9), dtype=np.float32)
    weight, bias, alpha, kernels = draw((6, 6, 4), 6, 6, (6, 6, 3, 3), dtype=np.float32)
    taps = np.hanning(12).astype(np.float32)

    def run():
        yield blocked.conv1d(x, weight[..., :3], bias)
        yield blocked.conv_transpose1d(x, weight, bias, stride=2, padding=1)
        yield blocked.snake_beta_at_twice(x, taps, taps, alpha, bias, epsilon=2e-9)
        yield layers.conv2d(image, kernels, bias)
        yield blocked.upsampling_conv2d(image, kernels, bias)
        yield layers.group_norm(image, bias, bias, groups=3, then=layers.silu)

    want = [y.tobytes() for y in run()]
    for threads in (1, 2, 3, None):
        with sharing(threads):
            assert [y.tobytes() for y in run()] == want, threads


def test_pieces_run_side_by_side():
    together = threading.Barrier(3, timeout=30)
    found = []

    def work(piece):
        together.wait()
        each(lambda inner: found.append((piece, inner)), "ab")  # in the same thread

    with sharing(3):
        each(work, range(3))
    assert sorted(found) == [(piece, inner) for piece in range(3) for inner in "ab"]
    assert available_cores() >= 1


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_piece_raises_reaches_the_caller(threads):
    def work(piece):
        if piece == 3:
            raise KeyError(piece)

    with sharing(threads), pytest.raises(KeyError, match="3"):
        each(work, range(100))
    done = []
    each(done.append, range(3))  # and behind the block there are no threads
    assert done == [0, 1, 2]


def test_a_thread_warns_as_its_caller_does():
    with warnings.catch_warnings(), sharing(2):
        warnings.simplefilter("error")
        with np.errstate(all="ignore"):
            each(lambda _: np.float32(1) / np.zeros(1), range(2))
        with np.errstate(all="raise"), pytest.raises(FloatingPointError):
            each(lambda _: np.float32(1) / np.zeros(1), range(2))


@pytest.mark.parametrize(("threads", "error"), [(0, ValueError), (1.5, TypeError)])
def test_how_many_threads_there_cannot_be(threads, error):
    with pytest.raises(error, match="threads"), sharing(threads):
        pass
