"""airband against the oracle, and what its design promises."""

import numpy as np
import oracle
import pytest
from conftest import check, random_params, speech_like
from material import as_lists

from novasr_np import Stream, load_weights, upsample
from novasr_np.conformance.cases import cases
from novasr_np.conformance.verify import verify
from novasr_np.networks import NETWORKS
from novasr_np.networks.airband import fast, features, model, spec, synthesis
from novasr_np.weights import embedded_weights

BOTH = pytest.mark.parametrize("variant", spec.VARIANTS, ids=lambda variant: variant.name)
OURS = pytest.mark.parametrize(
    "name", [name for name in embedded_weights() if name.startswith("airband")]
)


def dbfs(x):
    """The loudest 10 ms at 48 kHz."""
    whole = x[: len(x) // 480 * 480].reshape(-1, 480)
    return 10 * np.log10((whole**2).mean(axis=1).max() + 1e-20)


def above_8_khz(y):
    spectrum = np.fft.rfft(y)
    spectrum[np.fft.rfftfreq(len(y), 1 / 48_000) < 8100] = 0
    return np.fft.irfft(spectrum, len(y))


def with_gap(x):
    """Digital silence for a fifth of it."""
    x[..., x.shape[-1] * 2 // 5 : x.shape[-1] * 3 // 5] = 0
    return x


def quiet(params):
    """The same weights, making hardly anything."""
    return params | {"conv_out": {k: v * 0 - 10 for k, v in params["conv_out"].items()}}


@BOTH
def test_oracle_agrees(variant):
    params = random_params(0, NETWORKS[variant.name])
    x = np.random.default_rng(0).uniform(-1, 1, 160)
    x[60:100] = 0
    want = oracle.airband(as_lists(params), x.tolist(), variant.ahead, first=1000)
    check(model.forward(params, x, start=80_000, variant=variant), want, 1e-12)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_folded_equals_the_layers(variant, dtype):
    """Whole, and frame by frame, far into a signal."""
    network = NETWORKS[variant.name]
    params, start = random_params(1, network), 80 * 1_000_000
    x = with_gap(speech_like(network.cut.context + 4000))
    want = model.forward(params, np.float64(x), start, variant=variant)
    inside = slice(3 * network.cut.left, 3 * (network.cut.left + 4000))
    p, y = fast.fold(params, dtype), np.empty(12_000, dtype)
    fast.interior(variant, p, x.astype(dtype), y, start=start)
    check(y, want[inside], {np.float32: 2e-6, np.float64: 1e-11}[dtype])


def test_own_bins_are_the_input():
    """Tones below 7.5 kHz come out as they are, whatever lies between the samples."""
    params = quiet(random_params(2, NETWORKS["airband"]))
    t = np.arange(48_000) / 48_000
    for hertz, most in ((100, 2e-4), (1234.5, 2e-4), (5000, 3e-4), (7400, 2e-3)):
        y = np.sin(2 * np.pi * hertz * t + 1)
        got = upsample(y[::3], weights=params)
        check(got[1000:-1000], y[1000:-1000], most, f"{hertz} Hz")


def test_what_is_made_has_the_power_that_is_said():
    """A band's mean power, measured as the network's frames measure it."""
    level = np.full((32, 2003), 0.75)  # 2 y - 4 = -2.5
    level[10:] = 0.25
    made = synthesis.carrier(0, 2003, np.float64)
    frames = synthesis.synthesise(np.zeros((2003, 161)), synthesis.amplitude(level), made)
    y = synthesis.overlap_add(frames)
    frames = np.lib.stride_tricks.sliding_window_view(y, 960)[::240]
    power = np.abs(np.fft.rfft(frames * features.window(960, np.dtype(float)))) ** 2
    bands = power.mean(axis=0)[160:480].reshape(32, 10).mean(axis=1)
    # Where two levels meet the straight line between their logarithms lies above both's mean.
    check(np.log10(bands[:9]), np.full(9, -2.5), 0.03)
    check(np.log10(bands[11:31]), np.full(20, -3.5), 0.03)


def test_carrier_is_a_function_of_frame_and_bin():
    whole = synthesis.carrier(0, 300, np.float64)
    check(np.abs(whole), np.ones((300, 320)), 1e-12)
    for first in (0, 1, 299):
        np.testing.assert_array_equal(synthesis.carrier(first, 1, np.float64)[0], whole[first])
    for i, k in ((0, 160), (7, 161), (299, 479), (2**32 - 1, 300)):
        angle = 2 * np.pi * oracle._angle(i, k) / 256
        got = synthesis.carrier(i, 1, np.float64)[0, k - 160]
        check([got.real, got.imag], [np.cos(angle), np.sin(angle)], 1e-12)


def test_carrier_is_noise():
    """White along frames, along bins, and in the products of neighbours: no tone, no beat."""
    z = synthesis.carrier(0, 2000, np.float64)
    neighbours = [z[1:] * z[:-1].conj(), z[:, 1:] * z[:, :-1].conj(), z[2:] * z[:-2].conj()]
    for part in (z, *neighbours):
        spectrum = np.abs(np.fft.fft2(part)) / np.sqrt(part.size)
        assert spectrum.max() < 5  # of 640,000 random numbers the largest is near 3.7


@pytest.mark.parametrize("rate", [24_000, 32_000, 44_100, 48_000])
def test_what_an_input_has_above_8_khz_stays(rate):
    """A tone there comes out as it is, and what lies above the input's band is still made."""
    params = random_params(3, NETWORKS["airband"])
    t = np.arange(rate) / rate
    x = np.random.default_rng(0).normal(0, 0.05, rate) + 0.3 * np.sin(2 * np.pi * 9500 * t)
    alone, y = (upsample(x, rate, weights=params, keep_lowband=keep) for keep in (False, None))
    tone, without = (np.abs(np.fft.rfft(z))[9500] / 24_000 for z in (y, alone))
    assert tone == pytest.approx(0.3, rel=0.02)
    assert without < 0.01
    np.testing.assert_array_equal(y, upsample(x, rate, weights=params, keep_lowband=True))
    a, b = (np.abs(np.fft.rfft(z * np.hanning(48_000)))[23_000:23_900] for z in (alone, y))
    check(b, a, 0.02 * a.max())


def test_a_wide_file_of_narrow_sound_is_filled():
    """At 48 kHz, and empty above 8 kHz: prediction starts where the sound ends."""
    params = random_params(4, NETWORKS["airband"])
    x = np.random.default_rng(0).normal(0, 0.1, 96_000)
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(96_000, 1 / 48_000) > 8000] = 0
    narrow = np.fft.irfft(spectrum)
    filled = upsample(narrow, 48_000, weights=params)
    kept = upsample(narrow, 48_000, weights=params, keep_lowband=21_000)
    middle = (np.abs(np.fft.rfft(y)[24_000:36_000]) for y in (filled, kept))  # 12 to 18 kHz
    assert 0.1 * np.mean(next(middle)) > np.mean(next(middle))


def test_streams_say_their_latency():
    """The overlap's 15 ms, and what the convolutions look ahead."""
    for name, seconds in (("airband", 0.65), ("airband-live", 0.05)):
        stream = Stream(random_params(0, NETWORKS[name]))
        assert stream.latency_seconds == seconds
        assert Stream(random_params(0, NETWORKS[name]), 48_000, keep_lowband=False).latency > 0


@OURS
def test_digital_silence_stays_silent(name):
    """From 1 ms after the last sound to 1 ms before the next; a stream cut into the gap."""
    params = load_weights(name)
    assert not upsample(np.zeros(32_000, np.float32), weights=params).any()
    x = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    x[12_345:23_456] = 0
    y = upsample(x, weights=params)
    silent = np.flatnonzero(y == 0) // 3
    assert (silent[0], silent[-1]) == (12_345 + 16, 23_456 - 17)
    stream = Stream(params)
    pieces = [stream.push(x[i : i + 160], last=i + 160 == 32_000) for i in range(0, 32_000, 160)]
    check(np.concatenate(pieces), y, 1e-5)


@OURS
def test_no_bursts(name):
    """What is not speech makes nothing loud above 8 kHz; a click has two thirds of itself there."""
    params = load_weights(name)
    t = np.arange(48_000) / 16_000
    click = np.zeros(48_000)
    click[24_000] = 0.9
    sounds = {
        "constant": np.full(48_000, 0.5),
        "tone": 0.5 * np.sin(2 * np.pi * 1000 * t),
        "sweep": 0.5 * np.sin(2 * np.pi * (50 * t + 1300 * t**2)),
        "click": click,
    }
    for what, x in sounds.items():
        y = upsample(x, weights=params)
        assert dbfs(above_8_khz(y)) < dbfs(np.repeat(x, 3)) - (5 if what == "click" else 20), what


@pytest.mark.parametrize("opset", [11, 21])
@BOTH
def test_onnx_gives_what_numpy_gives(variant, opset):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    network = NETWORKS[variant.name]
    params = random_params(5, network)
    session = onnxruntime.InferenceSession(
        network.ports.to_onnx(params, opset=opset).SerializeToString()
    )
    for shape in ((1, 1), (2, 80), (3, 4001)):
        x = with_gap(np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32))
        (y,) = session.run(None, {"input": x[:, None]})
        check(y[:, 0], network.compute.forward(params, np.float64(x)), 5e-6)
    with pytest.raises(ValueError, match="no float16 model"):
        network.ports.to_onnx(params, half=True)


@BOTH
def test_stablehlo_gives_what_numpy_gives(variant):
    jax_export = pytest.importorskip("jax.export", reason="needs the extra jax")
    pytest.importorskip("flatbuffers", reason="needs the extra jax")
    from novasr_jax.to_stablehlo import to_stablehlo  # noqa: PLC0415

    network = NETWORKS[variant.name]
    params = random_params(6, network)
    program = jax_export.deserialize(to_stablehlo(params))
    for shape in ((1, 80), (3, 4000)):
        x = with_gap(np.random.default_rng(1).normal(0, 0.3, shape).astype(np.float32))
        check(program.call(x), network.compute.forward(params, np.float64(x)), 5e-6)


def test_a_tpus_products_are_the_transforms():
    jax_model = pytest.importorskip("novasr_jax.networks.airband.model", reason="needs jax")
    rng = np.random.default_rng(2)
    frames = rng.normal(0, 0.3, (2, 5, 320)).astype(np.float32)
    want = np.fft.rfft(np.float64(frames) * features.window(320, np.dtype(float)))
    got = np.asarray(jax_model.spectra_by_matrix(frames))
    check(np.stack([got.real, got.imag]), np.stack([want.real, want.imag]), 2e-5)
    check(got.real, np.asarray(jax_model._spectra_by_fft(frames)).real, 2e-5)
    bins = (rng.normal(0, 1, (2, 5, 480)) + 1j * rng.normal(0, 1, (2, 5, 480))).astype("complex64")
    bins[..., 0] = bins[..., 0].real
    made = np.asarray(jax_model.frames_by_matrix(bins))
    check(made, np.asarray(jax_model._frames_by_fft(bins)), 2e-6)


@BOTH
@pytest.mark.usefixtures("truths_once")
def test_a_ports_mistakes_are_named(variant):
    network = NETWORKS[variant.name]
    params = random_params(7, network)
    right = verify(network_port(network.compute.forward, params), params, cases(16_000, 0))
    assert right.grade in ("bit-near", "float32")
    for name, fault in network.ports.faults.items():
        some = [case for case in cases(16_000, 0) if case.name in ("noise", "speech-like")]
        report = verify(network_port(fault.forward, params), params, some)
        assert report.grade == "wrong", name
        assert [text.split(" (in")[0] for text in report.faults] == [fault.words]


def network_port(forward, params):
    return lambda x, rate: forward(params, np.float64(x)).astype(np.float32)
