"""Pieces equal the whole, whatever the cuts and the threads; nothing outside a piece leaks in."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from conftest import TOLERANCE, check, shared

from novasr_np import blas, forward, stages, upsample
from novasr_np.networks import NETWORKS
from novasr_np.networks.novasr import model
from novasr_np.networks.record import Facts
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.pipeline.feed import Piece, open_feed
from novasr_np.tensors import cast
from novasr_np.threads import Threads
from novasr_np.weights import Weights

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
    with Backend(threads, block=block).open(Weights(NOVASR, params), dtype) as runner:
        y = run_bare(runner, padded)
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
    y = np.zeros(3 * samples)
    piece = Piece(False, x[0, before : total - after], 100, Facts(16_000, 1), NOVASR, 0, y)
    with Backend(1, block=200).open(Weights(NOVASR, params), np.float64) as runner:
        runner.run([piece] if samples else [])
    check(y, want[0], 1e-12)


@hypothesis.given(
    samples=st.integers(0, 700),
    block=st.integers(1, 120),
    chunks=st.lists(st.integers(0, 300), max_size=6),
    bare=st.booleans(),
)
def test_whole_blocks_begin_where_they_would_in_one_chunk(samples, block, chunks, bare):
    """Of the same pieces, however the sound comes, but perhaps for the last two."""
    x = np.random.default_rng(samples).uniform(-1, 1, (2, samples)).astype(np.float32)
    how = {"block": block, "whole_blocks": True, "bare": bare}

    def cut(sizes):
        feed, pieces, at = open_feed(NOVASR, Facts(16_000, 2), np.float32, **how), [], 0
        for size in sizes:
            pieces += feed.cut(x[:, at : at + size], False)
            at += size
        pieces += feed.cut(x[:, at:], True)
        return pieces, feed.mix(True).shape

    (once, shape), (often, other) = cut([]), cut(chunks)
    assert shape == other
    assert sum(len(p.y) for p in once) == sum(len(p.y) for p in often) == np.prod(shape)
    inside = [{(p.start, len(p.x)) for p in pieces if not p.at_end} for pieces in (once, often)]
    assert len(inside[0] ^ inside[1]) <= 2


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


def test_errors_in_a_thread_come_out():
    def broken(number):
        raise RuntimeError(f"piece {number}")

    for count in (1, 2):
        threads = Threads(count)
        with pytest.raises(RuntimeError, match="piece 0"):
            threads.each(broken, [0, 1, 2])
        threads.close()


def test_threads_and_blocks_below_one_are_refused(params):
    weights = Weights(NOVASR, params)
    for threads in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1, got {threads}"):
            Backend(threads).open(weights)
    with pytest.raises(ValueError, match="got 0"):
        Backend(1, block=0).open(weights)
    with pytest.raises(ValueError, match="threads"):
        upsample(np.zeros(9), weights=params, threads=0)


def test_blas_is_held_to_one_thread_and_let_go():
    library = blas.library()
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
    library = blas.library()
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
