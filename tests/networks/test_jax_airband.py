"""airband in JAX: any rate, an edge for each row, and what JAX does to functions."""

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, check, random_params, speech_like

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_jax  # noqa: E402
import novasr_np  # noqa: E402
from novasr_jax import compute  # noqa: E402
from novasr_jax.networks import NETWORKS as IN_JAX  # noqa: E402
from novasr_jax.networks.airband import features, model  # noqa: E402
from novasr_np.networks import NETWORKS  # noqa: E402
from novasr_np.networks.airband.spec import FRAME, LEAST_SHARE  # noqa: E402
from novasr_np.networks.record import Facts  # noqa: E402
from novasr_np.pipeline.feed import open_feed  # noqa: E402
from novasr_np.weights import Weights  # noqa: E402

EDGES = np.array([np.nan, 2000, 3475, 3810])  # Hz; the third lies between two bins
# JAX's FFT in float32 rounds more than numpy's, which is float64's. In frames that hold next to
# nothing, before and behind digital silence, bins that are rounding alone are made as loud as any.
SILENT_TOLERANCE = 1e-5

run = jax.jit(novasr_jax.forward, static_argnames=("sample_rate", "precision"))


def drawn(seed, name="airband"):
    return random_params(seed, NETWORKS[name])


def gapped(samples, rate, seed=0):
    """Speech with digital silence in its middle, which begins and ends inside a hop."""
    x = np.float64(speech_like(samples, rate, seed))
    x[samples // 3 + 7 : samples // 3 + rate // 20] = 0
    return x


@pytest.mark.parametrize(
    ("name", "rate"),
    [("airband", 8000), ("airband-live", 12_000), ("airband", 24_000), ("airband-live", 48_000)],
)
def test_rows_of_any_length_and_edge_in_one_program(name, rate, x64):
    """In both precisions, with NaN in the padding."""
    params, longest = drawn(1, name), rate // 8 + 3
    lengths = np.array([longest, 1, rate // 200 + 1, longest - rate // 200])
    rows = np.stack([gapped(longest, rate, seed) for seed in range(len(EDGES))])
    rows[np.arange(longest) >= lengths[:, np.newaxis]] = np.nan
    wants = [
        novasr_np.forward(params, row[:length], rate, edge=None if np.isnan(edge) else edge)
        for row, length, edge in zip(rows, lengths, EDGES, strict=True)
    ]
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, SILENT_TOLERANCE)):
        before = run._cache_size()
        ys = run(params, rows.astype(dtype), lengths, sample_rate=rate, edge=EDGES)
        assert ys.dtype == dtype
        for y, want, edge in zip(np.asarray(ys), wants, EDGES, strict=True):
            check(y[: len(want)], want, tolerance, f"edge {edge}")
        # The rows' edges, moved by a row, run the same program.
        ys = run(params, rows.astype(dtype), lengths, sample_rate=rate, edge=np.roll(EDGES, 1))
        want = novasr_np.forward(params, rows[0], rate, edge=EDGES[-1])
        check(ys[0], want, tolerance)
        assert run._cache_size() == before + 1


def test_vmap_equals_batch(x64):
    params, x = drawn(2), np.stack([gapped(500, 8000, seed) for seed in range(3)])
    lengths, edges = np.array([500, 41, 160]), np.array([4000.0, 2000, 3300])

    def alone(x, length, edge):
        return novasr_jax.forward(params, x, length, sample_rate=8000, edge=edge)

    want = run(params, x, lengths, sample_rate=8000, edge=edges)
    check(jax.jit(jax.vmap(alone))(x, lengths, edges), want, 1e-13)


def test_gradients(x64):
    """Of weights and samples, in random directions, beside a difference quotient; a padded row.

    Without silence, where any sound at all makes the carrier leap to full power.
    """
    rng = np.random.default_rng(3)
    at = jax.tree.map(np.float64, (drawn(3), speech_like(400, 8000)))
    direction = jax.tree.map(lambda v: rng.normal(size=v.shape) * np.abs(v).mean(), at)
    weights = rng.normal(size=2400)

    def value(step):
        params, x = jax.tree.map(lambda v, d: v + step * d, at, direction)
        padded = jax.numpy.pad(x, (0, 40), constant_values=np.nan)
        y = novasr_jax.forward(params, padded, 400, sample_rate=8000, edge=3400.0)
        return (y[:2400] * weights).sum()

    value_and_slope = jax.jit(jax.value_and_grad(value))
    step = 1e-7
    (above, _), (below, _), (_, slope) = map(value_and_slope, (step, -step, 0.0))
    quotient = (above - below) / (2 * step)
    assert abs(slope - quotient) <= 1e-6 * abs(quotient)


def test_clips_of_several_rates_share_a_run():
    """Batches hold one rate and any edges; the rows of each are as long in seconds."""
    params, network = drawn(4), NETWORKS["airband"]
    net = compute.make_model(Weights(network, params), batch=8, segment=8000)
    sounds = []
    for rate, seconds, edge in (
        (8000, 2.8, None),
        (48_000, 2.9, 8000.0),
        (8000, 0.3, 3300.0),
        (8000, 3.0, 2000.0),
        (44_100, 2.7, None),  # taken at 48 kHz
    ):
        taken = network.for_rate(rate)
        x = gapped(round(taken.rate_in * seconds), taken.rate_in)[np.newaxis]
        block = net.segment * taken.rate_in // network.rate_in
        feed = open_feed(taken, Facts(rate, 1, edge), np.float32, block=block)
        sounds.append((feed, x, taken.rate_in, edge))
    pieces = [feed.cut(np.float32(x), True) for feed, x, *_ in sounds]
    assert any(not piece.at_end for cut in pieces for piece in cut)
    compute.run(net, [piece for cut in pieces for piece in cut])
    for feed, x, rate, edge in sounds:
        want = novasr_np.forward(params, x, rate, edge=edge)
        check(feed.mix(True)[:, : want.shape[1]], want, SILENT_TOLERANCE, f"{rate} Hz")


def test_front_door_at_a_rate_that_is_resampled():
    """A list of clips of one edge, below that of the resampler."""
    params, rate = drawn(5), 11_025
    clips = [gapped(samples, rate) for samples in (1, rate)]
    got = novasr_jax.upsample(clips, rate, weights=params, edge=3400, batch=8, segment=8000)
    for x, y in zip(clips, got, strict=True):
        want = novasr_np.upsample(x, rate, weights=params, edge=3400)
        check(y, want, SILENT_TOLERANCE, f"{len(x)} samples")


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("airband", {"sample_rate": 11_025}, ValueError, "takes sound at 48000 Hz here"),
        ("airband", {"edge": 1000}, ValueError, "from 2000 Hz to half"),
        ("airband", {"edge": [4000, 9000]}, ValueError, "got 9000"),
        ("airband", {"edge": "follow"}, TypeError, "follow"),
        ("NovaSR", {"edge": 4000}, ValueError, "edge must be None for NovaSR"),
        ("NovaSR", {"sample_rate": 8000}, ValueError, "takes sound at 16000 Hz here"),
    ],
)
def test_what_cannot_be(name, options, error, words):
    with pytest.raises(error, match=words):
        novasr_jax.forward(drawn(0, name), np.zeros((2, 80), np.float32), **options)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_exported_program_takes_edges(rate):
    export = pytest.importorskip("jax.export", reason="needs the extra jax")
    pytest.importorskip("flatbuffers", reason="needs the extra jax")
    from novasr_jax.to_stablehlo import to_stablehlo  # noqa: PLC0415

    params = drawn(6)
    program = export.deserialize(to_stablehlo(params, rate))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    x = np.stack([gapped(rate // 20, rate, seed) for seed in range(len(EDGES))])
    ys = program.call(np.float32(x), np.float32(EDGES))
    for row, edge, y in zip(x, EDGES, ys, strict=True):
        want = novasr_np.forward(params, row, rate, edge=None if np.isnan(edge) else edge)
        check(y, want, SILENT_TOLERANCE, f"edge {edge}")


def test_only_a_tpu_has_products_for_transforms():
    x = jax.ShapeDtypeStruct((2, 800), np.float32)
    forward = jax.jit(lambda x: IN_JAX["airband"].forward(drawn(0), x))
    for platform, transforms in (("tpu", 0), ("cpu", 3), ("cuda", 3)):
        text = jax.export.export(forward, platforms=[platform])(x).mlir_module()
        assert text.count("stablehlo.fft") == transforms, platform


def test_a_tpus_products_are_the_transforms():
    rng = np.random.default_rng(7)
    for size in (160, FRAME):
        frames = np.float32(rng.normal(0, 0.3, (2, 5, size)))
        got = np.asarray(model.rfft_by_matrix(frames))
        want = np.fft.rfft(np.float64(frames))
        check([got.real, got.imag], [want.real, want.imag], 2e-5)
    for bins in (80, FRAME // 2):
        spectrum = rng.normal(0, 1, (2, 5, bins)) + 1j * rng.normal(0, 1, (2, 5, bins))
        spectrum[..., 0] = spectrum[..., 0].real
        want = np.fft.irfft(spectrum, FRAME)
        check(model.irfft_by_matrix(np.complex64(spectrum)), want, 2e-6)


def test_bands_below_the_edge_are_a_part_of_the_whole():
    """White power has level 0 in each band that is heard, wherever the edge; the rest is held."""
    power = np.ones((4, 480), np.float32)
    for edge in (40, 70, 161, 480):
        level, share = (np.asarray(part) for part in features.features(power, edge))
        check(level, np.full((4, 73), 1.5), 1e-6)
        whole = features.bands().sum(axis=1)
        below = features.bands()[:, :edge].sum(axis=1) / whole
        check(share, np.where(below < LEAST_SHARE, 0, below), 1e-6)
        loud = power.copy()
        loud[:, edge:] = 1e9
        np.testing.assert_array_equal(features.features(loud, edge)[0], level)


def test_precision_is_passed_on():
    params, x = drawn(8), np.float32(gapped(800, 16_000))
    exact = run(params, x)
    for precision, least in (("high", 0), ("bf16", 1e-6)):
        y = run(params, x, precision=precision)
        check(y, exact, 0.05)
        assert np.abs(y - exact).max() >= least
    check(exact, novasr_np.forward(params, np.float64(x)), JAX_TOLERANCE[1])
