"""Signals of any length in batches of one shape: exact, compiled once, bounded on the device."""

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, check, random_params, shared
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_np  # noqa: E402
from novasr_jax import compute  # noqa: E402
from novasr_jax import samples as of_jax  # noqa: E402
from novasr_np import samples  # noqa: E402
from novasr_np.errors import WeightsError  # noqa: E402
from novasr_np.networks import NETWORKS  # noqa: E402
from novasr_np.networks.record import Facts  # noqa: E402
from novasr_np.pipeline.backend import Backend  # noqa: E402
from novasr_np.pipeline.feed import Int16, open_feed  # noqa: E402
from novasr_np.weights import Weights  # noqa: E402

NOVASR = NETWORKS["NovaSR"]
BATCH, SEGMENT = 8, 50


@pytest.fixture(scope="module")
def net(params):
    return model(params, batch=BATCH, segment=SEGMENT)


def model(params, **options):
    return compute.make_model(Weights(NOVASR, params), **options)


def feeds(count, segment):
    facts = Facts(16_000, 1)
    return [open_feed(NOVASR, facts, np.float32, block=segment, bare=True) for _ in range(count)]


def run_all(net, clips):
    """Whole clips [1, T] in common batches."""
    sounds = feeds(len(clips), net.segment)
    cut = [sound.cut(clip, True) for sound, clip in zip(sounds, clips, strict=True)]
    compute.run(net, [piece for pieces in cut for piece in pieces])
    return [sound.mix(True) for sound in sounds]


def run(net, clip):
    return run_all(net, [clip])[0]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(6).uniform(-1, 1, 3000).astype(np.float32)


def whole(params, x):
    return novasr_np.forward(params, np.float64(x))


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_any_piece_equals_numpys(size, net, params, noise):
    """Pieces of every kind, from sounds of lengths around every border, in chunks."""
    lengths = [*range(2, 26), *range(46, 52), 24 + SEGMENT, 25 + SEGMENT, 1000]
    lengths = lengths if size > 1 else [2, 12, 13, 24, 25, 49, 24 + SEGMENT, 25 + SEGMENT]
    with Backend(1).open(Weights(NOVASR, params), np.float64) as runner:
        for n in lengths:
            ys = []
            for dtype, compute_pieces in (
                (np.float64, runner.run),
                (np.float32, lambda pieces: compute.run(net, pieces)),
            ):
                x = noise[None, :n].astype(dtype)
                feed = open_feed(NOVASR, Facts(16_000, 1), dtype, block=SEGMENT)
                parts = []
                for start in range(0, n, size):
                    compute_pieces(feed.cut(x[:, start : start + size], False))
                    parts.append(feed.mix(False))
                compute_pieces(feed.cut(x[:, :0], True))
                ys.append(np.concatenate([*parts, feed.mix(True)], axis=-1))
            check(ys[1], ys[0], JAX_TOLERANCE[0], f"{n} samples in chunks of {size}")


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(2, 300), max_size=30))
def test_clips_that_share_batches_do_not_meet(lengths, net, params, noise):
    clips = [noise[None, n : 2 * n] for n in lengths]
    ys = run_all(net, clips)
    assert len(ys) == len(clips)
    for x, y in zip(clips, ys, strict=True):
        check(y, whole(params, x), JAX_TOLERANCE[0], f"{x.shape[-1]} samples")


def test_nan_in_the_padding_reaches_nothing(net, params, noise, monkeypatch):
    clips = [noise[None, :n] for n in (3, 30, 47, 48, 49, 123, 1000)]
    monkeypatch.setattr(compute, "_PADDING", np.nan)
    for x, y in zip(clips, run_all(net, clips), strict=True):
        check(y, whole(params, x), JAX_TOLERANCE[0], f"{x.shape[-1]} samples")


@pytest.mark.parametrize(("batch", "segment"), [(8, 1), (40, 333)])
def test_any_batch_and_segment(batch, segment, params, noise):
    net = model(params, batch=batch, segment=segment)
    x = noise[None, :700]
    check(run(net, x), whole(params, x), JAX_TOLERANCE[0])


def test_nothing_is_compiled_for_another_length(net, noise):
    compiled = []

    def listen(event, seconds, **_):
        if "backend_compile" in event:
            compiled.append(event)

    other = model(random_params(9), batch=BATCH, segment=SEGMENT + 1)
    jax.monitoring.register_event_duration_secs_listener(listen)
    run(other, noise[None, : 2 * NOVASR.cut.context + 1])
    at_first = len(compiled)
    # The forward of true ends has the shape that other tests compiled, or not.
    assert at_first in (4, 5)
    lengths = np.random.default_rng(10).integers(2, 3000, 20)
    for n in lengths:
        run(other, noise[None, :n])
    assert len(compiled) == at_first


def test_a_device_holds_two_batches_whatever_the_length(net, monkeypatch):
    """Counted whenever a batch goes to the device."""

    def most(seconds):
        held = []
        put = jax.device_put

        def watched(*arguments):
            held.append(sum(array.nbytes for array in jax.live_arrays()))
            return put(*arguments)

        monkeypatch.setattr(jax, "device_put", watched)
        run(net, np.zeros((1, 16_000 * seconds), np.float32))
        monkeypatch.setattr(jax, "device_put", put)
        return max(held)

    short = most(1)
    assert short > 0
    assert most(10) <= short


def test_all_devices_share_the_rows(net):
    assert len(net.sharding.device_set) == len(jax.devices())
    assert net.sharding.shard_shape((BATCH, 5)) == (BATCH // len(jax.devices()), 5)
    assert net.folded.conv1.sharding.is_fully_replicated


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"batch": 2.5}, TypeError, "batch must be a whole number, got 2.5"),
        ({"segment": -3}, ValueError, "segment must be at least 1, got -3"),
        ({"segment": True}, TypeError, "segment must be a whole number, got True"),
        ({"precision": "half"}, ValueError, "one of highest, high, fp16, bf16, got 'half'"),
        ({"devices": "abacus"}, ValueError, "that JAX has, got 'abacus'"),
        ({"devices": []}, TypeError, r"some of jax.devices\(\), got \[\]"),
        ({"devices": [0]}, TypeError, r"some of jax.devices\(\), got \[0\]"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, words, params):
    with pytest.raises(error, match=words):
        model(params, **options)


def test_batch_that_devices_cannot_share_is_refused(params):
    devices = jax.devices()
    if len(devices) == 1:
        pytest.skip("one device shares any batch (test_jax_devices has eight)")
    with pytest.raises(ValueError, match=f"multiple of the {len(devices)} devices, got 1"):
        model(params, batch=1)


@pytest.mark.parametrize("rule", ["round_int16", "floor_int16"])
def test_int16_of_the_devices_is_numpys(rule):
    """At every step of 16 bits and half of one, beside them, and far beyond full scale."""
    half = np.arange(-2 * 33_000, 2 * 33_000 + 1, dtype=np.float32) / np.float32(2 * 32768)
    far = np.float32([-0.0, 1e-45, 1e-38, 0.99999994, -0.99999994, 1e28, -1e28])
    y = np.concatenate([half, far, *(np.nextafter(half, np.float32(end)) for end in (9, -9))])
    want = getattr(samples, rule)(y)
    assert {-32768, 0, 32767} < set(want.tolist())
    np.testing.assert_array_equal(jax.jit(getattr(of_jax, rule))(y), want)


def test_levels_are_of_the_wanted_outputs_alone(net):
    """Of batches that are not full, in which what is not wanted is loud or NaN."""
    y = np.full((BATCH, 100), 5, np.float32)
    y[1] = np.nan
    y[:, 10:20] = -0.5
    y[:, 12:14] = samples.SATURATION
    y[2, 19], y[3, 11] = np.nan, -1.25
    first, stop = np.full((2, BATCH), [[10], [20]], np.int32)
    first[4:] = stop[4:]
    rule = samples.round_int16
    given = (jax.device_put(part, net.sharding) for part in (y, first, stop))
    rounded, peak, saturated = of_jax.as_int16(*given, rule=rule)
    want = [samples.SATURATION, samples.SATURATION, np.inf, 1.25, 0, 0, 0, 0]
    np.testing.assert_array_equal(peak, want)
    np.testing.assert_array_equal(saturated, [2, 2, 3, 3, 0, 0, 0, 0])
    np.testing.assert_array_equal(rounded[0], rule(y[0]))


@pytest.mark.parametrize("rule", [samples.round_int16, samples.floor_int16])
def test_int16_off_the_devices_is_that_of_their_floats(rule, net, noise):
    """Pieces of all kinds and of both dtypes in one run. After an error none is counted."""
    clips = [gain * noise[None, :n] for n, gain in ((5, 1), (40, 1), (2000, 9), (3000, 100))]
    sounds = [Int16(rule) for _ in clips]
    feeds = [
        open_feed(NOVASR, Facts(16_000, 1), np.float32, block=SEGMENT, int16=int16)
        for int16 in sounds
    ]
    of_floats = [open_feed(NOVASR, Facts(16_000, 1), np.float32, block=SEGMENT) for _ in clips]
    cut = [
        feed.cut(x, True)
        for some in (feeds, of_floats)
        for feed, x in zip(some, clips, strict=True)
    ]
    compute.run(net, [piece for pieces in cut for piece in pieces])
    for feed, other, int16 in zip(feeds, of_floats, sounds, strict=True):
        got, want = feed.mix(True), other.mix(True)
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, rule(want))
        assert int16.peak == samples.peak(want)
        assert int16.saturated == samples.count_saturated(want)
    assert sounds[-1].saturated > 0
    uncounted = Int16(rule)
    good = [piece._replace(int16=uncounted) for piece in cut[2]]
    bad = [piece._replace(x=np.full_like(piece.x, np.nan)) for piece in good]
    with pytest.raises(WeightsError, match="NovaSR returned NaN"):
        compute.run(net, [*good, *bad])
    assert uncounted == Int16(rule)


def test_golden(upstream):
    version, params = upstream
    net = model(params, batch=BATCH, segment=1000)
    with np.load(shared(f"golden/novasr_v{version}.npz")) as golden:
        cases = sorted(key[:-2] for key in golden if key.endswith(".x"))
        xs = [golden[f"{case}.x"].astype(np.float32)[None] for case in cases]
        wants = [golden[f"{case}.y"][None] for case in cases]
    assert len(cases) > 10
    for case, x, y, want in zip(cases, xs, run_all(net, xs), wants, strict=True):
        check(y, want, JAX_TOLERANCE[int(np.abs(x).max() > 1)], case)
