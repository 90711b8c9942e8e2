"""Pieces equal the whole, whatever the cuts and the threads; nothing outside a piece leaks in."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from conftest import TOLERANCE, check, shared

from novasr_np import blas, forward, stages, upsample
from novasr_np.blocks import Workers, prepare, run
from novasr_np.networks import NETWORKS
from novasr_np.networks.novasr import model
from novasr_np.tensors import cast

NOVASR = NETWORKS["NovaSR"]


def whole(params, x):
    return forward(params, np.pad(x, [(0, 0), (0, 2)]))[:, : 3 * x.shape[1]]


@hypothesis.given(
    samples=st.integers(1, 400),
    block=st.integers(1, 120),
    threads=st.integers(1, 3),
    channels=st.integers(1, 2),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_any_length_block_and_thread_count(params, samples, block, threads, channels, dtype):
    x = np.random.default_rng(samples).uniform(-1, 1, (channels, samples))
    padded = np.concatenate([x, np.zeros((channels, 2))], -1).astype(dtype)
    with Workers(threads, block) as workers:
        y = run(prepare(NOVASR, params, dtype), workers, padded, 0, True)
    assert y.dtype == dtype
    check(y[:, : 3 * samples], whole(params, x), TOLERANCE[dtype][0])


def test_same_bytes_whatever_the_number_of_threads(params):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 20_000)).astype(np.float32)
    one = upsample(x, weights=params, threads=1)
    for threads in (2, 3, None):
        np.testing.assert_array_equal(upsample(x, weights=params, threads=threads), one)


@hypothesis.given(before=st.integers(0, 60), samples=st.integers(0, 200), after=st.integers(0, 60))
def test_a_piece_of_the_inside(params, before, samples, after):
    """A piece with its context, cut out of a longer signal, and NaN in all the rest."""
    total = before + 11 + samples + 13 + after
    x = np.random.default_rng(total).uniform(-1, 1, (1, max(total, 2)))
    want = forward(params, x)[:, 3 * (before + 11) : 3 * (before + 11 + samples)]
    x[:, :before] = np.nan
    x[:, total - after :] = np.nan
    with Workers(1, 64) as workers:
        piece = x[:, before : total - after]
        y = run(prepare(NOVASR, params, np.float64), workers, piece, 100, False)
    check(y, want, 1e-12)


@pytest.mark.parametrize("channel", [0, 2])
def test_a_neighbouring_channel_does_not_matter(params, channel):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 5000)).astype(np.float32)
    alone = upsample(x[channel], weights=params)
    np.testing.assert_array_equal(upsample(x, weights=params)[channel], alone)


def test_golden_through_the_front_door(upstream):
    """The original's outputs, but for the last samples that the front door defines its own way."""
    version, params = upstream
    with np.load(shared(f"golden/novasr_v{version}.npz")) as golden:
        for case in sorted({key.split(".")[0] for key in golden}):
            x = golden[f"{case}.x"]
            same = max(0, 3 * (len(x) - 13))
            for dtype, tolerances in TOLERANCE.items():
                y = upsample(x.astype(dtype), weights=params)
                tolerance = tolerances[int(np.abs(x).max() > 1)]
                check(y[:same], golden[f"{case}.y"][:same], tolerance, f"{case} {dtype}")


def test_errors_in_a_thread_come_out(params):
    def broken(number, memory):
        raise RuntimeError(f"piece {number}")

    for threads in (1, 2):
        with Workers(threads) as workers, pytest.raises(RuntimeError, match="piece 0"):
            workers.each(broken, [(0,), (1,), (2,)], dict)


def test_door(params):
    for threads in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1, got {threads}"):
            Workers(threads)
    with pytest.raises(ValueError, match="got 0"):
        Workers(1, 0)
    with pytest.raises(ValueError, match="threads"):
        upsample(np.zeros(9), weights=params, threads=0)


def test_blas_is_held_to_one_thread_and_let_go():
    library = blas._openblas()
    if library is None:
        pytest.skip("numpy here has no OpenBLAS of its own")
    get, put = library
    before = get()
    put(2)
    try:
        with blas.one_thread():
            assert get() == 1
            with blas.one_thread():
                assert get() == 1
            assert get() == 1
        assert get() == 2
    finally:
        put(before)


def test_forward_and_stages_hold_blas_too(params, monkeypatch):
    """While a layer multiplies, and not while the caller has its turn."""
    library = blas._openblas()
    if library is None:
        pytest.skip("numpy here has no OpenBLAS of its own")
    get, put = library

    before, seen = get(), []
    monkeypatch.setattr(model, "cast", lambda p, dtype: watch(cast(p, dtype), seen, get))
    put(2)
    try:
        for _ in stages(params, np.zeros(50)):
            assert get() == 2
        forward(params, np.zeros(50))
        assert len(seen) == 2 * (7 + 11 + 11 + 7)
        assert set(seen) == {1}
    finally:
        put(before)


def watch(tree, seen, get):
    """The same tree, whose convolutions tell the number of threads they run on."""

    class Watched(np.ndarray):
        def __matmul__(self, other):
            seen.append(get())
            return np.asarray(self) @ other

    if isinstance(tree, dict):
        return {name: watch(value, seen, get) for name, value in tree.items()}
    return tree.view(Watched) if tree.ndim == 3 else tree
