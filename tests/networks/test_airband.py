"""airband against the oracle and its first program, and what its design promises."""

import numpy as np
import oracle
import pytest
from conftest import check, random_params, shared, speech_like
from material import as_lists

from novasr_np import Stream, forward, load_weights, stages, upsample
from novasr_np.networks import NETWORKS
from novasr_np.networks.airband import fast, features, model, spec, synthesis
from novasr_np.networks.airband.follow import Follower
from novasr_np.networks.airband.stream import FrameStream
from novasr_np.networks.record import Facts
from novasr_np.tensors import nest
from novasr_np.weights import embedded_weights

BOTH = pytest.mark.parametrize("variant", spec.VARIANTS, ids=lambda variant: variant.name)
OURS = pytest.mark.parametrize(
    "name", [name for name in embedded_weights() if name.startswith("airband")]
)
AIRBAND = NETWORKS["airband"]
# Hz of the input and of its edge: half the rate, below it, and below 4 kHz, where the source ends.
PLACES = ((8000, 3700), (12_000, 6000), (16_000, 7700), (24_000, 8000), (48_000, 11_000))
EACH_PLACE = pytest.mark.parametrize(("rate", "edge"), PLACES)


def levelled(level, network=AIRBAND):
    """Weights that predict one level everywhere: log10 of the power of a bin."""
    params = random_params(2, network)
    last = {name: 0 * value for name, value in params["conv_out"].items()}
    last["bias"] = last["bias"] + np.float32((level - spec.OUTPUT_OFFSET) / spec.OUTPUT_SCALE)
    return params | {"conv_out": last}


def power(y):
    """Mean power of each bin at 48 kHz, as the network's frames measure it."""
    frames = np.lib.stride_tricks.sliding_window_view(y, spec.FRAME)[:: spec.HOP]
    window = features.window(spec.FRAME, np.dtype(float))
    return (np.abs(np.fft.rfft(frames * window)) ** 2).mean(axis=0)


def above(y, hertz):
    """What y at 48 kHz has above a frequency."""
    spectrum = np.fft.rfft(y)
    spectrum[np.fft.rfftfreq(len(y), 1 / 48_000) < hertz] = 0
    return np.fft.irfft(spectrum, len(y))


def loudest(x, rate=48_000):
    """dB of the loudest 10 ms."""
    size = rate // 100
    whole = x[: len(x) // size * size].reshape(-1, size)
    return 10 * np.log10((whole**2).mean(axis=1).max() + 1e-20)


def with_gap(x):
    """Digital silence for a fifth of it."""
    x[..., x.shape[-1] * 2 // 5 : x.shape[-1] * 3 // 5] = 0
    return x


@pytest.mark.parametrize(
    ("name", "rate", "edge", "samples"),
    [
        ("airband", 8000, 75, 77),
        ("airband", 24_000, 234, 7),
        ("airband-live", 16_000, 160, 160),
    ],
)
def test_oracle_agrees(name, rate, edge, samples):
    network = NETWORKS[name]
    params = random_params(0, network)
    x = np.random.default_rng(0).uniform(-1, 1, samples)
    variant = next(v for v in spec.VARIANTS if v.name == name)
    want = oracle.airband(as_lists(params), x.tolist(), variant.ahead, rate, edge)
    check(network.compute.forward(params, x, 0, Facts(rate, 1, 50 * edge), rate), want, 1e-12)


LAB = (
    *("leaky8000", "leaky12000", "leaky16000", "leaky24000", "steep16000"),
    *("telephone_at_48000", "short"),
)


@pytest.fixture(scope="module")
def lab():
    """The arrays of the network's first program, and its weights under our names."""
    with np.load(shared("golden/anyband_lab.npz")) as file:
        arrays = {name: file[name] for name in file.files}
    theirs = {
        name.removeprefix("weights/"): np.float64(value)
        for name, value in arrays.items()
        if name.startswith("weights/")
    }
    ours = {
        "conv_in.weight": theirs["inp.weight"],
        "conv_in.bias": theirs["inp.bias"],
        "share.weight": theirs["mask.weight"],
        "conv_out.weight": theirs["out.weight"][:, :, None],
        "conv_out.bias": theirs["out.bias"],
    }
    for i in range(6):
        ours |= {
            f"blocks.{i}.depthwise.weight": theirs[f"dw.{i}"].T,
            f"blocks.{i}.depthwise.bias": theirs[f"db.{i}"],
            f"blocks.{i}.prelu.slope": theirs[f"slope.{i}"],
            f"blocks.{i}.pointwise.weight": theirs[f"pw.{i}.weight"][:, :, None],
            f"blocks.{i}.pointwise.bias": theirs[f"pw.{i}.bias"],
        }
    return arrays, nest(ours)


@pytest.mark.parametrize("name", LAB)
def test_each_stage_is_that_of_the_first_program(lab, name):
    arrays, params = lab
    x, rate, edge = (arrays[f"{name}/{key}"] for key in ("x", "rate", "edge"))
    got = dict(stages(params, np.float64(x), int(rate), edge=50 * int(edge)))
    check(got["features"].T, arrays[f"{name}/features"], 1e-11)
    share = features.heard(int(edge), np.dtype(np.float64)).share
    check(share, arrays[f"{name}/share"], 1e-12)
    level = spec.OUTPUT_SCALE * got["conv_out"].T + spec.OUTPUT_OFFSET
    check(level, arrays[f"{name}/level"], 1e-11)
    rows = arrays[f"{name}/carrier_rows_20_24"]
    made = synthesis.carrier(got["rectified"].T[20 : 20 + len(rows)], int(edge))
    check(np.abs(made - rows[:, edge : spec.BINS]), np.zeros(made.shape), 1e-9)
    want = arrays[f"{name}/y"]  # whole samples of the input alone
    check(got["y"][: len(want)], want, 1e-10)


@EACH_PLACE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@BOTH
def test_folded_equals_the_layers(variant, dtype, rate, edge):
    """A piece from the inside, with silence in it."""
    network = NETWORKS[variant.name].for_rate(rate)
    params, hop = random_params(1, network), network.cut.step
    x = with_gap(speech_like(network.cut.context + 40 * hop, rate))
    place = {"facts": Facts(rate, 1, edge), "rate": rate}
    want = network.compute.forward(params, np.float64(x), **place)
    first = network.at(network.cut.left)
    stream = FrameStream(variant, fast.fold(params, dtype), dtype, **place)
    y = stream.push(x[np.newaxis].astype(dtype))[0, first:]
    assert len(y) == 40 * spec.HOP
    tolerance = {np.float32: 2e-6, np.float64: 1e-11}[dtype]
    check(y, want[first : first + len(y)], tolerance)


@EACH_PLACE
def test_streams_equal_the_whole(rate, edge):
    """In chunks that are no hops, for both networks and dtypes."""
    x = with_gap(speech_like(rate // 5 + 7, rate))
    for network in (AIRBAND, NETWORKS["airband-live"]):
        params = random_params(3, network)
        want = forward(params, np.float64(x), rate, edge=edge)
        for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-11)):
            stream = Stream(params, rate, edge=edge, dtype=dtype)
            parts = [stream.push(x[i : i + 173]) for i in range(0, len(x), 173)]
            parts.append(stream.push(x[:0], last=True))
            check(np.concatenate(parts), want, tolerance, f"{network.name}, {dtype}")


def test_streams_say_their_latency():
    """The overlap's 15 ms, and what the convolutions look ahead; at any rate."""
    for variant in spec.VARIANTS:
        params = random_params(0, NETWORKS[variant.name])
        seconds = (spec.OVERLAP + variant.frames_ahead) / spec.HOPS
        for rate in (8000, 16_000, 48_000):
            for edge in (None, "follow"):
                assert Stream(params, rate, edge=edge).latency_seconds == seconds
        assert seconds < Stream(params, 44_100).latency_seconds < seconds + 0.01


def moving(rate, ends, seconds):
    """Noise that ends at each of these Hz for some seconds."""
    parts = []
    for seed, end in enumerate(ends):
        x = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
        spectrum = np.fft.rfft(x)
        spectrum[np.fft.rfftfreq(len(x), 1 / rate) > end] = 0
        parts.append(np.fft.irfft(spectrum, len(x)))
    return np.concatenate(parts)


def test_an_edge_is_followed_up_and_down():
    """4 to 8 kHz and back, each within two seconds, and steady after that."""
    rate, seconds = 16_000, 3
    x = moving(rate, (4000, 8000, 4000), seconds)
    edges = Follower(160, rate, follow=True).push(features.spectra(x, rate))
    for part, bin in enumerate((80, 160, 80)):
        last = edges[(part * seconds + 2) * spec.HOPS : (part + 1) * seconds * spec.HOPS - 4]
        assert np.abs(last - bin).max() <= 2, part
    assert (Follower(100, rate, follow=False).push(features.spectra(x, rate)) == 100).all()


def test_a_followed_edge_does_not_depend_on_the_chunks():
    rate = 16_000
    x = moving(rate, (4000, 8000), 1.6)
    params = random_params(4, NETWORKS["airband-live"])
    outputs = []
    for size in (len(x), 80, 1237):
        stream = Stream(params, rate, edge="follow", dtype=np.float64)
        parts = [stream.push(x[i : i + size]) for i in range(0, len(x), size)]
        outputs.append(np.concatenate([*parts, stream.push(x[:0], last=True)]))
        check(outputs[-1], outputs[0], 1e-11, f"chunks of {size}")
    # It was followed: a sound with the edge that the stream began with differs, at first not.
    held = upsample(x, rate, weights=params, edge=8000)
    check(outputs[0][:1000], held[:1000], 1e-11)
    assert np.abs(outputs[0] - held).max() > 0.01


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_own_bins_are_the_input(rate):
    """Tones below the edge come out as they are, whatever lies between the samples."""
    params = levelled(-24)
    t = np.arange(24_000) / 48_000
    for part, most in ((0.05, 5e-4), (0.5, 2e-4), (0.9, 5e-3)):
        y = np.sin(2 * np.pi * part * rate / 2 * t + 1)
        got = forward(params, y[:: 48_000 // rate], rate)
        check(got[1000:-1000], y[1000:-1000], most, f"{part} of half the rate")


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_mirror_images_are_60_db_down(rate):
    """Of tones up to 0.9 of half the rate, about half the rate and about the rate."""
    params = levelled(-24)
    for part in (0.1, 0.3, 0.6, 0.9):
        tone = part * rate / 2
        y = forward(params, np.sin(2 * np.pi * tone * np.arange(rate) / rate), rate)
        spectrum = np.abs(np.fft.rfft(y * np.blackman(len(y))))  # bins of 1 Hz
        loudest = spectrum.max()
        for image in (round(rate - tone), round(rate + tone)):
            if image < 24_000:
                near = spectrum[image - 200 : image + 201].max()
                assert near < loudest / 1000, (part, image)


@EACH_PLACE
def test_what_is_made_has_the_power_that_is_said(rate, edge):
    """Within a twentieth of a decade, of noise and of a voice."""
    params, first = levelled(-2.5), edge // 50 + 3
    for x in (np.random.default_rng(0).normal(0, 0.1, rate), np.float64(speech_like(rate, rate))):
        made = power(forward(params, x, rate, edge=edge))[first:475]
        assert abs(np.log10(made).mean() + 2.5) < 0.05


def test_an_edge_says_what_is_kept():
    """Sound above it makes no difference; with half the rate as edge it is kept."""
    params, rng = random_params(6, AIRBAND), np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.normal(0, 0.1, 8000))
    spectrum[np.fft.rfftfreq(8000, 1 / 16_000) > 4500] = 0
    narrow = np.fft.irfft(spectrum)
    tone = 0.1 * np.sin(2 * np.pi * 6000 * np.arange(8000) / 16_000)
    tone *= np.hanning(8000)  # without the clicks of its ends
    a, b = (forward(params, x, 16_000, edge=4000) for x in (narrow, narrow + tone))
    assert np.abs(a - b).max() < 1e-4
    assert np.abs(forward(params, narrow + tone, 16_000) - b).max() > 0.05


def test_overtones_are_the_pitchs_multiples():
    """Made from the input alone: a buzz of 200 Hz stays one, far above the input's band."""
    rate, pitch = 8000, 200
    t = np.arange(2 * rate) / rate
    x = sum(0.05 * np.cos(2 * np.pi * pitch * k * t) for k in range(1, 19))
    y = forward(levelled(-2.5), x, rate)[24_000:72_000]
    spectrum = np.abs(np.fft.rfft(y))[5000:20_000] ** 2  # bins of 1 Hz
    multiples = spectrum.reshape(-1, pitch)
    assert multiples[:, 0].sum() > 0.95 * multiples.sum()


def test_a_burst_stays_one():
    """What is made of a click lies within a frame of it."""
    x = np.zeros(16_000)
    x[8000] = 0.9
    made = above(forward(levelled(-2.5), x, 16_000), 8100)
    near = slice(24_000 - spec.FRAME, 24_000 + spec.FRAME)
    assert np.sum(made[near] ** 2) > 0.999 * np.sum(made**2)


def test_a_shift_by_hops_shifts_the_output():
    """Nothing depends on the place in the sound: the carrier is a function of the frame alone."""
    params, x = random_params(5, AIRBAND), np.float64(speech_like(3000))
    reach = AIRBAND.cut.left  # of zeros, so that the levels do not see the sound's beginning
    a, b = (forward(params, np.pad(x, (reach + 80 * hops, 800))) for hops in (0, 13))
    check(b[3 * 80 * 13 :], a, 1e-11)


@OURS
@EACH_PLACE
def test_digital_silence_stays_silent(name, rate, edge):
    """Where all frames that share a sample hold zeros only, it is exactly zero."""
    params = load_weights(name)
    hop = rate // spec.HOPS
    assert not forward(params, np.zeros(rate // 4, np.float32), rate, edge=edge).any()
    first, last = 10 * hop + 3, 30 * hop - 5  # of the zeros, last not included
    x = 0.1 * np.random.default_rng(0).standard_normal(50 * hop).astype(np.float32)
    x[first:last] = 0
    y = forward(params, x, rate, edge=edge)
    # From the end of the last frame that has sound before to the beginning of the next.
    begin, end = (-(-first // hop) + spec.OVERLAP) * 240, (last // hop - spec.OVERLAP) * 240
    assert not y[begin:end].any()
    assert y[begin - 240 : begin].any()
    assert y[end : end + 240].any()
    stream = Stream(params, rate, edge=edge)
    parts = [stream.push(x[i : i + hop], last=i + hop == len(x)) for i in range(0, len(x), hop)]
    assert not np.concatenate(parts)[begin:end].any()


@OURS
@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_no_bursts(name, rate):
    """What is not speech makes nothing loud above the edge."""
    params = load_weights(name)
    t = np.arange(2 * rate) / rate
    click = np.zeros(2 * rate)
    click[rate] = 0.9
    sounds = {
        "constant": np.full(2 * rate, 0.5),
        "tone": 0.5 * np.sin(2 * np.pi * 1000 * t),
        "whistle": 0.5 * np.sin(2 * np.pi * 3000 * t),
        "sweep": 0.5 * np.sin(2 * np.pi * (50 + 0.1 * rate * t) * t),
        "click": click,
    }
    for what, x in sounds.items():
        made = above(upsample(x, rate, weights=params, edge=rate / 2), rate / 2 + 100)
        assert loudest(made) < loudest(x, rate) - (5 if what == "click" else 10), what


@EACH_PLACE
@BOTH
def test_float32_is_near_float64(variant, rate, edge):
    """On a voice with digital silence within, at whose ends the frames hold nearly nothing."""
    params = random_params(8, NETWORKS[variant.name])
    x = with_gap(speech_like(rate // 2, rate))
    got = forward(params, x, rate, edge=edge)
    check(got, forward(params, np.float64(x), rate, edge=edge), 2e-6)


def test_any_rate_that_a_hop_divides_goes_in_as_it_is():
    for rate in (4000, 8000, 11_000, 16_200, 44_000, 48_000):
        assert AIRBAND.for_rate(rate).rate_in == rate
    for rate in (3800, 11_025, 22_050, 44_100, 48_200, 96_000):
        assert AIRBAND.for_rate(rate).rate_in == 48_000
    assert model.edge_bin(None, 16_200) == 162
    assert model.edge_bin(Facts(16_000, 1, 3720.0), 16_000) == 74
    assert model.edge_bin(Facts(16_000, 1, 24_000.0), 16_000) == 160


@pytest.mark.parametrize("opset", [11, 21])
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@BOTH
def test_onnx_gives_what_numpy_gives(variant, rate, opset):
    """At each edge by one graph; any batch and time."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    network = NETWORKS[variant.name]
    params = random_params(5, network)
    model = network.ports.to_onnx(params, opset=opset, rate=rate)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in ((1, 1), (2, rate // 200), (3, 1001)):
        x = with_gap(np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32))
        for edge in (40, 75, rate // 100):
            (y,) = session.run(None, {"input": x[:, None], "edge": np.array(edge)})
            want = forward(params, np.float64(x), rate, edge=50 * edge)
            check(y[:, 0], want, 1e-5, f"{shape}, edge {edge}")


def test_onnx_is_refused_where_it_cannot_be_right():
    pytest.importorskip("onnx", reason="needs the extra onnx")
    params = random_params(5, AIRBAND)
    with pytest.raises(ValueError, match="no float16 model"):
        AIRBAND.ports.to_onnx(params, half=True)
    with pytest.raises(ValueError, match="multiple of 200 Hz from 4000 to 48000, got 44100"):
        AIRBAND.ports.to_onnx(params, rate=44_100)


def test_a_tpus_products_are_the_transforms():
    jax_model = pytest.importorskip("novasr_jax.networks.airband.model", reason="needs jax")
    rng = np.random.default_rng(2)
    for size in (160, 960):
        frames = rng.normal(0, 0.3, (2, 5, size)).astype(np.float32)
        got = np.asarray(jax_model.rfft_by_matrix(frames))
        check(np.abs(got - np.fft.rfft(np.float64(frames))), np.zeros(got.shape), 5e-5)
    bins = (rng.normal(0, 1, (2, 5, 481)) + 1j * rng.normal(0, 1, (2, 5, 481))).astype("complex64")
    bins[..., 0], bins[..., 480] = bins[..., 0].real, 0  # of 24 kHz nothing is made
    want = np.fft.irfft(np.complex128(bins))
    check(np.asarray(jax_model.irfft_by_matrix(bins)), want, 2e-6)
