"""What every network of the registry has to keep; `networks/test_contract.py` runs it on each.

A check is a function of the network's record. A new network gets all of them for its entry in the
registry, and adds its golden files. Networks that hear windows (FlashSR) keep what is said of all;
their windows are the shortest here (`shortest`), and their weights small.
"""

import dataclasses
from functools import partial

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, TOLERANCE, check, random_params
from material import FLASHSR_TOLERANCE, flashsr_random

from novasr_np import Stream, WeightsError, load_weights, save_weights, upsample
from novasr_np.conformance import self_test
from novasr_np.networks import NETWORKS, Network, find
from novasr_np.networks.record import Facts
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.pipeline.feed import open_feed
from novasr_np.pipeline.upsampler import Upsampler
from novasr_np.samples import ceil_div
from novasr_np.tensors import flatten, nest
from novasr_np.weights import Weights, as_weights, read_weights


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def drawn(seed: int, network: Network) -> dict:
    """Weights of a network, at random."""
    return random_params(seed, network) if network.weights.tensors else flashsr_random(seed)


def shortest(network: Network) -> Network:
    """The same network with the shortest windows that it can have, if it hears windows."""
    if network.name in EXACT:
        return network
    cut = dataclasses.replace(network.cut, length=network.cut.min_samples)
    return dataclasses.replace(network, cut=cut)


def at_least(samples: int, network: Network) -> int:
    """So many samples, or as many more as `forward` takes."""
    unit = 1 if network.name in EXACT else network.cut.min_samples
    return ceil_div(samples, unit) * unit


def options_of(network: Network) -> dict:
    """What lets windows overlap that are as short."""
    return {} if network.name in EXACT else {"overlap": network.cut.min_samples // 4}


def tolerance(network: Network, dtype: type, truth: np.ndarray) -> float:
    """Of an output; FlashSR's is relative to its root mean square, as its stages' are."""
    if network.name in EXACT:
        return TOLERANCE[dtype][0]
    return FLASHSR_TOLERANCE[dtype] * np.sqrt(np.mean(truth**2))


def weights_find_their_network(network: Network, tmp_path) -> None:
    """By metadata, by our names, by the original's names; as a tree and from a file."""
    params = drawn(0, network)
    assert as_weights(params).network is network
    assert find(flatten(params)) is network
    for sha256 in network.weights.published:  # two networks may have the same names
        assert find(network.weights.upstream, sha256=sha256) is network
    assert find([], {"model": network.name}) is network
    path = tmp_path / "w.safetensors"
    save_weights(params, path, provenance="noise", licence="none")
    if network.weights.store is None:
        assert read_weights(path)[2]["model"] == network.name
        assert path.stat().st_size <= network.weights.max_bytes
    assert load_weights(path).network is network
    np.testing.assert_equal(load_weights(path).params, params)


def weights_are_checked(network: Network) -> None:
    """A tensor that is missing, of another shape or not finite is named."""
    params = flatten(drawn(0, network))
    name = sorted(params)[len(params) // 2]
    short = name.split(".", 1)[1]  # in a part's own table a part's name is left out
    for bad, words in (
        (None, "missing tensor"),
        (params[name][:0], "must have shape"),
        (np.full_like(params[name], np.nan), "must be finite"),
    ):
        changed = {n: v for n, v in params.items() if n != name}
        changed |= {} if bad is None else {name: bad}
        with pytest.raises(WeightsError, match=words) as caught:
            load_weights(nest(changed))
        assert short in str(caught.value)


def length_law(network: Network) -> None:
    """forward gives `length` samples, the front door exactly factor T, down to none."""
    params = drawn(1, network)
    for samples in (0, 1, at_least(500, network)):
        y = upsample(noise(samples), network.rate_in, weights=params, options=options_of(network))
        assert y.shape == (network.duration(samples, network.rate_in),)
    least = network.cut.min_samples
    assert network.compute.forward(params, noise(least)).shape == (network.length(least),)
    assert network.length(least) > 0


def length_law_around_the_context(network: Network) -> None:
    """The same where cuts and ends meet."""
    params = random_params(1, network)
    around = 2 * network.cut.context
    drawn = np.random.default_rng(1).integers(41, around, 8).tolist()
    lengths = {*range(network.cut.min_samples, 41), *range(around - 1, around + 3), *drawn}
    for samples in sorted(lengths):
        x = noise(samples)
        assert network.compute.forward(params, x).shape == (network.length(samples),)
    for samples in (2, network.cut.context, 2 * network.cut.context + 1):
        y = upsample(noise(samples), weights=params)
        assert y.shape == (network.duration(samples, network.rate_in),)
    for samples in (network.cut.step, network.cut.left, network.cut.right):
        assert network.cut.whole(samples) == samples
        assert network.at(samples) * network.rate_in == samples * network.rate_out


def dtype_is_kept(network: Network) -> None:
    """float32 and float64, each near the truth; others are refused."""
    params, x = drawn(2, network), noise(at_least(120, network))
    truth = network.compute.forward(params, x)
    for dtype in (np.float32, np.float64):
        y = network.compute.forward(params, x.astype(dtype))
        assert y.dtype == dtype
        check(y, truth, tolerance(network, dtype, truth))
    for dtype in (np.int16, np.float16, np.complex64, bool):
        with pytest.raises(TypeError, match=np.dtype(dtype).name):
            network.compute.forward(params, x.astype(dtype))
    with pytest.raises(ValueError, match=f"at least {network.cut.min_samples} samples"):
        network.compute.forward(params, x[: network.cut.min_samples - 1])


def neighbours_do_not_matter(network: Network) -> None:
    """Each row of a batch is what it is alone."""
    rows = (2, 3) if network.name in EXACT else (2, 1)  # windows are long
    params, x = drawn(3, network), noise(*rows, at_least(90, network))
    y = network.compute.forward(params, x)
    for index in np.ndindex(*rows):
        check(y[index], network.compute.forward(params, x[index]), 1e-12)


def measured_context_is_declared(network: Network) -> None:
    """NaN in one input sample reaches exactly the outputs that have it in their context."""
    params, step = random_params(4, network), network.cut.step
    first, last = [], []
    for at in (2 * network.cut.context + offset for offset in sorted({0, step // 2, step - 1})):
        x = noise(4 * network.cut.context)
        x[at] = np.nan
        with np.errstate(invalid="ignore"):  # complex NaN warn in a division
            y = network.compute.forward(params, x)
        reached = np.flatnonzero(np.isnan(y))
        assert len(reached) == reached[-1] - reached[0] + 1
        steps = reached[[0, -1]] // network.at(step) * step  # each step's first sample
        first.append(at - steps[0])
        last.append(steps[1] - at)
    # To whole steps, counted from a step's last sample on, and from its first one back.
    assert ceil_div(max(first) - (step - 1), step) * step == network.cut.right
    assert ceil_div(max(last), step) * step == network.cut.left


def nan_beyond_the_context_reaches_nothing(network: Network) -> None:
    """A piece of the inside, cut out of a signal that is NaN everywhere else."""
    params, x = random_params(5, network), noise(1, 6 * network.cut.context + 160)
    left, right, at = network.cut.left, network.cut.right, network.at
    first, last = 2 * network.cut.context, 3 * network.cut.context + 160
    want = network.compute.forward(params, x)[:, at(first) : at(last)]
    x[:, : first - left] = np.nan
    x[:, last + right :] = np.nan
    with Backend(1, block=64).open(Weights(network, params), np.float64) as runner:
        feed = runner.open_feed(network, Facts(network.rate_in, 1))
        pieces = [
            piece
            for piece in feed.cut(x, last=True)
            if not piece.at_end
            and piece.start >= first - left
            and piece.start + len(piece.x) <= last + right
        ]
        assert pieces
        runner.run(pieces)
    for piece in pieces:
        at_first = at(piece.start + left - first)
        check(piece.y, want[0, at_first : at_first + len(piece.y)], 1e-12)


def blocks_equal_the_whole(network: Network) -> None:
    """Whatever their size and the number of threads; the same bytes for each number of threads."""
    params = random_params(6, network)
    long, small = 2 * network.cut.context + 600, network.cut.context // 20
    for samples in (1, network.cut.context, 2 * network.cut.context + 1, long):
        # Of half the level, as the tolerances are for outputs within full scale.
        x = noise(2, samples + network.cut.padding(samples)) / 2
        want = network.compute.forward(params, x)
        for dtype in (np.float32, np.float64):
            for block in (1, 37, 4000) if samples < 200 else (max(50, small), 4000):
                outputs = []
                for threads in (1, 3) if dtype is np.float32 else (3,):
                    backend = Backend(threads, block=block)
                    with backend.open(Weights(network, params), dtype) as runner:
                        y = run_bare(runner, x.astype(dtype))
                    check(y, want, TOLERANCE[dtype][0], f"{samples} in blocks of {block}")
                    outputs.append(y)
                np.testing.assert_array_equal(outputs[0], outputs[-1])


def streams_equal_the_whole(network: Network) -> None:
    """Sample by sample and in chunks; outputs come as soon as the look-ahead allows."""
    params, samples = random_params(7, network), network.cut.context + 250
    x = noise(samples).astype(np.float32)
    want = upsample(np.float64(x), weights=params)
    for size in (1, 7, 100, samples) if samples < 1000 else (79, 500, samples):
        stream, parts, given = Stream(params), [], 0
        assert stream.latency == network.cut.right
        for start in range(0, samples, size):
            parts.append(stream.push(x[start : start + size]))
            given += len(parts[-1])
            read = min(start + size, samples)
            assert given == network.at(max(0, network.cut.whole(read - network.cut.right)))
        parts.append(stream.push(x[:0], last=True))
        check(np.concatenate(parts), want, TOLERANCE[np.float32][0], f"chunks of {size}")


def chunks_equal_the_whole(network: Network) -> None:
    """The same bytes however a sound comes and on any number of threads, its facts known."""
    params, least = drawn(7, network), network.cut.min_samples
    exact = network.name in EXACT
    samples = 2 * network.cut.context + 600 if exact else least + least // 2
    x, options, outputs = noise(1, samples).astype(np.float32), options_of(network), []
    want = upsample(x, weights=params, sample_rate=network.rate_in, options=options)
    facts = Facts(network.rate_in, len(x))
    facts = network.needs(facts, [x], network.cut) if network.needs else facts
    for threads, size in ((1, x.shape[-1]), (2, x.shape[-1] // 3 + 1)):
        backend = Backend(threads, options, block=100 if exact else None)
        with backend.open(Weights(network, params), np.float32) as runner:
            upsampler = Upsampler(runner, facts)
            starts = range(0, x.shape[-1], size)
            parts = [upsampler.push(x[:, i : i + size]) for i in starts]
            parts.append(upsampler.push(x[:, :0], last=True))
        outputs.append(np.concatenate(parts, axis=-1))
        check(outputs[-1], want, tolerance(network, np.float32, want))
    np.testing.assert_array_equal(*outputs)


def self_test_values_hold(network: Network) -> None:
    """The values that `novasr doctor` compares with, on any machine."""
    y = network.compute.forward(self_test.noise_weights(network), self_test.noise_input())
    assert network.ports.self_test
    for n, value in network.ports.self_test.items():
        assert abs(y[n] - value) <= 1e-12


def jax_equals_numpy_by_stage(network: Network) -> None:
    """Under the same names, in 64 bits, on a signal and on a padded one."""
    jax = pytest.importorskip("jax", reason="needs the extra jax")
    from novasr_jax.networks import NETWORKS as JAX_NETWORKS  # noqa: PLC0415

    stages = jax.jit(lambda *arguments: dict(JAX_NETWORKS[network.name].stages(*arguments)))
    params, x = random_params(8, network), noise(64)
    padded = np.concatenate([x[:50], np.full(14, np.nan)])
    jax.config.update("jax_enable_x64", True)
    try:
        wholes, rows = stages(params, x, 64), stages(params, padded, 50)
    finally:
        jax.config.update("jax_enable_x64", False)
    want = dict(network.compute.stages(params, x))
    assert sorted(wholes) == sorted(rows) == sorted(want)
    for name, activation in want.items():
        turned = activation.swapaxes(-1, -2) if activation.ndim > 1 else activation
        got = wholes[name]
        if name == "amplitude":  # of all bins in JAX, as one program serves every edge
            got = got[..., -turned.shape[-1] :]
        check(got, turned, 1e-12, name)
    want = network.compute.forward(params, x[:50])
    check(rows["y"][: network.length(50)], want, 1e-12, "padded")


def jax_batches_equal_numpy(network: Network) -> None:
    """Clips of any length that share batches, with NaN in the padding."""
    pytest.importorskip("jax", reason="needs the extra jax")
    from novasr_jax import compute  # noqa: PLC0415
    from novasr_jax.backend import Backend as JaxBackend  # noqa: PLC0415

    params = random_params(9, network)
    runner = JaxBackend(batch=8, segment=100).open(Weights(network, params))
    lengths = [n + -n % network.cut.step for n in (2, 47, 48, 49, 123, 1000)]
    clips = [noise(1, n, seed=n).astype(np.float32) for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "_PADDING", np.nan)
        facts = Facts(network.rate_in, 1)
        options = {"block": runner.block, "bare": True}
        feeds = [open_feed(network, facts, np.float32, **options) for _ in clips]
        cut = [feed.cut(x, True) for feed, x in zip(feeds, clips, strict=True)]
        runner.run([piece for pieces in cut for piece in pieces])
        ys = [feed.mix(True) for feed in feeds]
    for x, y in zip(clips, ys, strict=True):
        want = network.compute.forward(params, np.float64(x))
        check(y, want, JAX_TOLERANCE[0], f"{x.shape[-1]} samples")


OF_ALL = (
    weights_are_checked,
    length_law,
    dtype_is_kept,
    neighbours_do_not_matter,
    chunks_equal_the_whole,
)
# Of those that are cut with their context.
OF_EXACT = (
    length_law_around_the_context,
    measured_context_is_declared,
    nan_beyond_the_context_reaches_nothing,
    blocks_equal_the_whole,
    streams_equal_the_whole,
    self_test_values_hold,
    jax_equals_numpy_by_stage,
    jax_batches_equal_numpy,
)
EXACT = [network.name for network in NETWORKS.values() if hasattr(network.cut, "context")]
each_network = partial(pytest.mark.parametrize, "network", [*NETWORKS], indirect=True)
