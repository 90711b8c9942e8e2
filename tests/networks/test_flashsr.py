"""FlashSR's networks against the original's outputs, with weights drawn from their names."""

import hashlib
import io
import json
import math
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from conftest import check, shared
from test_weights import Name, Pickler, tensor

from novasr_np import layers, networks
from novasr_np.dsp.resample import resample
from novasr_np.errors import WeightsError
from novasr_np.networks.flashsr import load, model, sampler, spec, unet, vae, vocoder
from novasr_np.networks.flashsr.lowpass import cutoff, low_pass
from novasr_np.networks.flashsr.mel import denormalise, filterbank, level, log_mel, normalise
from novasr_np.networks.flashsr.mlx import read_bundle
from novasr_np.tensors import cast, flatten, nest

SMALL = spec.Sizes(mels=128, latent=8, vae=32, unet=32, vocoder=96)
BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])
# Max-abs error of a stage, relative to its root mean square.
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}


def drawn(name, shape):
    """A tensor of the reference outputs' weights: a function of its name and shape."""
    digest = hashlib.sha256(f"{name}|{shape}".encode()).digest()
    z = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)
    if name.endswith(".bias"):
        z = 0.1 * z
    elif name.endswith((".alpha", ".beta")):
        z = 0.2 * z
    elif name.endswith(".weight_g"):
        level = 0.3 if name == "conv_post.weight_g" else 0.5 if ".convs2." in name else 1
        z = level * (1 + 0.1 * z)
    elif name.endswith(".weight") and len(shape) == 1:
        z = 1 + 0.1 * z
    elif name.endswith(".weight"):
        z = z / np.sqrt(np.prod(shape[1:]))
    return np.float32(z)


def originals(sizes, taps):
    """What is used of the original's three files; taps: the filter of all activations."""
    return {
        file: {
            name: taps.reshape(shape) if name.endswith(".filter") else drawn(name, shape)
            for name, shape in table.items()
        }
        for file, table in spec.original_tensors(sizes).items()
    }


@pytest.fixture(scope="module")
def weights(golden):
    states = originals(SMALL, golden["voc.filter"])
    return {
        "vae": nest(states["vae.pth"]),
        "unet": nest(states["student_ldm.pth"])["model"],
        "vocoder": nest(load.folded(states["sr_vocoder.pth"])),
    }


@pytest.fixture(scope="module")
def golden():
    with np.load(shared("golden/flashsr_small.npz")) as file:
        return dict(file)


def compare(got, want, dtype, what, scale=1.0):
    assert got.dtype == dtype, what
    level = np.sqrt(np.mean(np.float64(want) ** 2))
    check(got, want, scale * TOLERANCE[dtype] * level, what)


def compare_stages(got, golden, prefix, dtype, given=()):
    names = {name for name in golden if name.startswith(f"{prefix}.")}
    names -= {f"{prefix}.{name}" for name in given}
    assert names
    for name in sorted(names):
        compare(got[name.removeprefix(f"{prefix}.")], golden[name], dtype, name)


@BOTH
def test_vocoder(weights, golden, dtype):
    bands, wave = golden["voc.mel"].astype(dtype), golden["voc.lr"].astype(dtype)
    got = dict(vocoder.stages(weights["vocoder"], bands, wave))
    # The first activation of all, in its three steps.
    first = cast(weights["vocoder"]["resblocks"]["0"]["activations"]["0"], dtype)
    x = golden["voc.act.in"].astype(dtype)
    got["act.up"] = layers.upsample2(x, golden["voc.filter"].astype(dtype))
    got["act.snake"] = layers.snake_beta(got["act.up"], **first["act"], epsilon=2e-9)
    got["act.out"] = vocoder.activation(first, x)
    compare_stages(got, golden, "voc", dtype, given=("mel", "lr", "act.in", "filter"))
    shortest = vocoder.activation(first, golden["act.tiny.in"].astype(dtype))
    compare(shortest, golden["act.tiny.out"], dtype, "act.tiny")


@BOTH
def test_autoencoder(weights, golden, dtype):
    got = dict(vae.encode(weights["vae"], golden["vae.x"].astype(dtype)))
    got |= dict(vae.decode(weights["vae"], golden["vae.z"].astype(dtype)))
    compare_stages(got, golden, "vae", dtype, given=("x", "z"))
    moments, eps = golden["posterior.moments"].astype(dtype), golden["posterior.eps"].astype(dtype)
    compare(vae.posterior(moments, eps), golden["posterior.sample"], dtype, "posterior")
    np.testing.assert_array_equal(vae.posterior(moments), moments[:, :4])


@BOTH
def test_unet(weights, golden, dtype):
    x = np.concatenate([golden["unet.x"], golden["unet.cond"]], axis=1).astype(dtype)
    got = dict(unet.stages(weights["unet"], x, sampler.embedding(spec.LAST, SMALL.unet)))
    for t in (1, 500):
        *_, (_, got[f"v.t{t}"]) = unet.stages(weights["unet"], x, sampler.embedding(t, SMALL.unet))
    compare_stages(got, golden, "unet", dtype, given=("x", "cond", "v.f32_embedding"))
    # What the original's float32 embedding moves.
    check(got["v"], golden["unet.v.f32_embedding"], 2e-5)


def test_embeddings_are_the_originals(golden):
    for t, want, rounded in zip(
        (0, 1, 500, 998, 999), golden["t_emb_128"], golden["t_emb_128_f32"], strict=True
    ):
        check(sampler.embedding(t, 128), want, 1e-12)
        check(sampler.embedding(t, 128), rounded, 4e-5)


@pytest.mark.parametrize("kind", ["mean", "sample"])
@BOTH
def test_one_window_end_to_end(weights, golden, dtype, kind):
    x = (golden["e2e.audio_int16"] / 32768).astype(dtype)
    eps = golden["e2e.eps"] if kind == "sample" else None
    got = dict(model.stages(weights, x, golden["e2e.x_T"], eps))
    want = {name.removeprefix("e2e."): x for name, x in golden.items() if name.startswith("e2e.")}
    for name in ("audio_int16", "eps", "x_T"):
        del want[name]
    other = "mean." if kind == "sample" else "sample."
    for name in (name for name in want if not name.startswith(other)):
        compare(got[name.removeprefix(f"{kind}.")], want[name], dtype, name)


def test_what_a_window_cannot_be(weights):
    noise = np.zeros((1, 8, 8, 16))
    window = np.zeros((1, spec.STEP))
    for x, given, t, match in (
        (window[:, 1:], noise, 999, "a multiple of 30720, got shape"),
        (window[0], noise, 999, "a multiple of 30720, got shape"),
        (window, noise[:, 1:], 999, r"noise has shape \(1, 7, 8, 16\), expected \(1, 8, 8, 16\)"),
        (window, noise, 1000, "t must be from 0 to 999, got 1000"),
    ):
        with pytest.raises(ValueError, match=match):
            next(model.stages(weights, x, given, t=t))
    with pytest.raises(TypeError, match="float32 or float64, got int16"):
        next(model.stages(weights, window.astype(np.int16), noise))


def test_rows_of_a_batch_do_not_see_each_other(weights, golden):
    x = np.float32(golden["e2e.audio_int16"] / 32768)
    both = model.forward(weights, x, golden["e2e.x_T"])
    alone = model.forward(weights, x[1:], golden["e2e.x_T"][1:])
    check(both[1:], alone, 1e-6)


def test_silence_stays_near_silence(weights):
    noise = np.zeros((1, 8, 8, 16), np.float32)
    got = dict(model.stages(weights, np.full((1, spec.STEP), 0.25, np.float32), noise))
    np.testing.assert_array_equal(got["norm"], 0)
    check(got["mel"], np.full((1, 1, 64, 128), np.log(1e-5)), 1e-6)
    assert np.abs(got["wave"] - 0.25).max() < 1e-7


@pytest.fixture(scope="module")
def speech():
    with np.load(shared("golden/flashsr_io.npz")) as file:
        return dict(file)


@pytest.mark.parametrize(("case", "rate"), [("c16", 16_000), ("c8", 8_000)])
def test_sound_is_brought_to_its_rate_as_the_original_does(speech, case, rate):
    low = speech[f"{case}.lr_int16"] / 32768
    name = networks.NETWORKS["FlashSR"].resampler("upstream")
    got = resample(low, rate, spec.SAMPLE_RATE, name)
    check(got, speech[f"{case}.up48_f32"], 1e-6)
    assert np.abs(resample(low, rate, spec.SAMPLE_RATE) - got).max() > 1e-4


@pytest.mark.parametrize("case", ["c16", "c8"])
def test_levels_and_spectrogram_of_speech(speech, case):
    x = speech[f"{case}.up48_f32"][np.newaxis]
    own = level(x.astype(np.float64))
    normalised = normalise(x.astype(np.float64), own)
    check(normalised[0], speech[f"{case}.norm"], 1e-15)
    check(own.mean[0], speech[f"{case}.mean"], 1e-15)
    check(own.peak[0], speech[f"{case}.max"], 1e-15)
    check(denormalise(normalised, own), x, 1e-15)
    got = log_mel(normalised)[0]
    check(got, speech[f"{case}.mel"], 1e-10)
    # The original in float32 has noise where it is quiet, and little of it elsewhere.
    rounded = speech[f"{case}.mel_f32"]
    assert np.abs(got - rounded).mean() < 1e-5
    check(got[got > -9], rounded[got > -9], 1e-3)


def test_filterbank_is_the_originals(speech):
    np.testing.assert_array_equal(filterbank(), speech["mel_basis"])


@pytest.mark.parametrize("case", ["c16", "c8"])
def test_low_pass_is_the_originals(speech, case):
    x = speech[f"{case}.up48_f32"].astype(np.float64)[np.newaxis]
    assert cutoff(x) == speech[f"{case}.cutoff"]
    check(low_pass(x, cutoff(x)[0])[0], speech[f"{case}.lowpass"], 1e-12)
    check(low_pass(x, 2500)[0, ::7], speech[f"{case}.lowpass_2500_every7"], 1e-12)
    rounded = low_pass(np.float32(x), 2500)
    assert rounded.dtype == np.float32
    check(rounded[0, ::7], speech[f"{case}.lowpass_2500_every7"], 1e-7)


def test_what_the_original_cannot_low_pass_stays_as_it_is():
    t = np.arange(spec.STEP) / spec.SAMPLE_RATE
    rng = np.random.default_rng(0)
    x = np.stack([0 * t, np.sin(2 * np.pi * 440 * t), rng.normal(size=len(t))])
    np.testing.assert_array_equal(cutoff(x)[:2], [24_000, 24_000])
    assert 23_000 < cutoff(x)[2] < 24_000
    assert low_pass(x, 24_000.0) is x
    tone = low_pass(x, 2500)[1]
    check(tone[500:-500], x[1, 500:-500], 0.03)  # twice a tenth of a dB, and no delay
    for bad, hertz in ((x[:, :27], 2500), (x, 0.5)):
        with pytest.raises(ValueError, match="at least 1 Hz and 28 samples, got"):
            low_pass(bad, hertz)


def test_schedules_are_the_originals():
    with np.load(shared("golden/flashsr_sampler.npz")) as file:
        want = dict(file)
    np.testing.assert_array_equal(sampler.betas(), want["betas"])
    np.testing.assert_array_equal(sampler.powers(), want["alphas_cumprod"])
    for part, got in sampler.schedule()._asdict().items():
        # Within two roundings of float32; at the one step that counts there is none.
        truth = want[f"{part}_t"]
        np.testing.assert_allclose(got, truth, rtol=3e-7, err_msg=part)
        assert got.dtype == np.float32
        assert got[spec.LAST] == truth[spec.LAST], part
    for part, got in sampler.mlx_schedule()._asdict().items():
        np.testing.assert_allclose(got, want[f"mlx_{part}_t"], rtol=1e-14, err_msg=part)


def test_tensors_are_the_originals():
    want = json.loads(shared("golden/flashsr_tensors.json").read_text())
    for where, sizes in ((want, spec.FULL), (want["small"], SMALL)):
        for file, table in spec.original_tensors(sizes).items():
            named = {name: tuple(shape) for name, shape in where[file].items()}
            unused = tuple(spec.UNUSED[file])
            assert {n: s for n, s in named.items() if not n.startswith(unused)} == table, file


def test_the_draw_is_the_references():
    check(drawn("encoder.conv_in.bias", (128,))[:2], [0.05568565, -0.00390095], 1e-8)
    weight = drawn("model.time_embed.0.weight", (512, 128))
    check(weight[0, :2], [0.16642174, -0.03660475], 1e-8)
    check(drawn("conv_pre.weight_g", (1536, 1, 1))[:2, 0, 0], [0.8047944, 1.1017988], 1e-7)


def write_originals(folder, states):
    """Files as torch would write them, with what is not used in them."""
    unused = {
        "vae.pth": {"vocoder.conv_pre.weight": np.ones((4, 3, 7))},
        "student_ldm.pth": {"betas": np.ones(1000), "log_one_minus_alphas_cumprod": np.ones(1000)},
        "sr_vocoder.pth": {"audio_block.downsamples.4.0.bias": np.ones(96)},
    }
    for file, state in states.items():
        members = {"byteorder": b"little", "version": b"3\n"}
        tensors = {}
        for i, (name, value) in enumerate({**unused[file], **state}.items()):
            tensors[name] = tensor(str(i), value.shape, Name("torch", "FloatStorage"))
            members[f"data/{i}"] = value.astype("<f4").tobytes()
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump(tensors)
        members["data.pkl"] = buffer.getvalue()
        with zipfile.ZipFile(folder / file, "w") as archive:
            for name, data in members.items():
                archive.writestr(f"archive/{name}", data)


def test_the_originals_files_load(weights, golden, tmp_path):
    write_originals(tmp_path, originals(SMALL, golden["voc.filter"]))
    got, want = flatten(load.load(tmp_path)), flatten(weights)
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], np.float32(value), err_msg=name)
        assert got[name].dtype == np.float32


def test_other_files_than_the_originals_are_refused(golden, tmp_path):
    states = originals(SMALL, golden["voc.filter"])
    write_originals(tmp_path, states)

    def refused(match):
        with pytest.raises(WeightsError, match=match) as error:
            load.load(tmp_path)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 400

    vae, vocoder = (tmp_path / name for name in ("vae.pth", "sr_vocoder.pth"))
    first, second = vae.read_bytes(), vocoder.read_bytes()
    vae.write_bytes(second)
    refused(r"vae\.pth: it holds the tensors of sr_vocoder\.pth")
    vae.write_bytes(first[: len(first) // 2])
    refused(r"vae\.pth: not a whole checkpoint")
    vae.write_bytes(first)
    bias = {**states["vae.pth"], "decoder.conv_out.bias": np.zeros(2, np.float32)}
    write_originals(tmp_path, {"vae.pth": bias})
    refused(r"vae\.pth: tensor decoder\.conv_out\.bias has shape \(2,\); expected \(1,\)")
    vae.write_bytes(first)
    vocoder.unlink()
    refused(r"no sr_vocoder\.pth in it: hf download")
    name = "ups.0.0.weight_v"
    broken = {**states["sr_vocoder.pth"], name: np.zeros_like(states["sr_vocoder.pth"][name])}
    write_originals(tmp_path, {"sr_vocoder.pth": broken})
    refused(r"vocoder\.ups\.0\.0\.weight holds NaN")
    del broken["conv_pre.bias"]
    write_originals(tmp_path, {"sr_vocoder.pth": broken})
    refused(r"sr_vocoder\.pth: it lacks the tensor conv_pre\.bias")
    write_originals(tmp_path, {"sr_vocoder.pth": {**states["sr_vocoder.pth"], "a": np.ones(1)}})
    refused(r"sr_vocoder\.pth: it has, and should not have, the tensor a")


@pytest.mark.parametrize(("bits", "which"), [(4, "tiny"), (8, "tiny8")])
def test_bundles_in_few_bits_are_what_mlx_reads(tmp_path, bits, which):
    for suffix, name in (("safetensors", "model.safetensors"), ("json", "config.json")):
        source = shared(f"golden/flashsr_mlx_{which}.{suffix}")
        (tmp_path / name).write_bytes(source.read_bytes())
    with np.load(shared("golden/flashsr_mlx_tiny.npz")) as file:
        begin = f"{which}.torch."
        want = {n.removeprefix(begin): x for n, x in file.items() if n.startswith(begin)}
    told = {}
    got = read_bundle(tmp_path, lambda shapes: told.update(shapes) or shapes)
    assert told == {name: x.shape for name, x in want.items()}
    assert json.loads((tmp_path / "config.json").read_text())["quantization"]["bits"] == bits
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
        assert got[name].dtype == np.float32


def quantised(w, bits):
    """Codes, scales and biases of [O, I], as MLX makes them."""
    groups = w.reshape(len(w), -1, 64)
    high, low = groups.max(axis=-1), groups.min(axis=-1)
    most = 2**bits - 1
    below = np.abs(low) > np.abs(high)
    scale = np.maximum((high - low) / np.float32(most), np.float32(1e-7))
    scale, edge = np.where(below, scale, -scale), np.where(below, low, high)
    first = np.rint(edge / scale)
    scale = np.where(first != 0, edge / np.where(first != 0, first, 1), scale)
    bias = np.where(first != 0, edge, 0)
    codes = np.clip(np.rint((groups - bias[..., None]) / scale[..., None]), 0, most)
    codes = codes.astype(np.uint32).reshape(len(w), -1, 32 // bits)
    words = np.bitwise_or.reduce(codes << np.arange(0, 32, bits, dtype=np.uint32), axis=-1)
    return words.astype(np.uint32), np.float16(scale), np.float16(bias)


def write_bundle(folder, weights, bits):
    """A bundle of the port to MLX; gives the largest step of each quantised tensor."""
    tensors, shapes, steps = {}, {}, {}
    for part, name in (("vae", "vae"), ("unet", "ldm"), ("vocoder", "voc")):
        for inner, original in flatten(weights[part]).items():
            key, last = f"{name}.{inner}", np.float32(original)
            if last.ndim > 2 and not key.endswith(".filter"):
                last = np.moveaxis(last, 0 if key.startswith("voc.ups.") else 1, -1)
            if last.ndim >= 2 and np.prod(last.shape[1:]) % 64 == 0:
                shapes[key] = last.shape
                parts = quantised(last.reshape(len(last), -1), bits)
                tensors |= dict(zip((key, f"{key}.scales", f"{key}.biases"), parts, strict=True))
                steps[key] = float(np.abs(parts[1]).max())
            else:
                tensors[key] = np.float16(last)
    tensors["voc.audio_block.downsamples.4.0.bias"] = np.zeros(96, np.float16)
    config = {"quantized_shapes": shapes, "format": f"int{bits}"}
    config["quantization"] = {"mode": "mlx_affine_flat", "bits": bits, "group_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return steps


@pytest.mark.parametrize("bits", [4, 8])
def test_a_bundle_loads_within_its_steps(weights, golden, tmp_path, bits):
    steps = write_bundle(tmp_path, weights, bits)
    assert len(steps) > 200
    params = load.load(tmp_path)
    for part, name in (("vae", "vae"), ("unet", "ldm"), ("vocoder", "voc")):
        got = flatten(params[part])
        for key, want in flatten(weights[part]).items():
            step = steps.get(f"{name}.{key}", 0)
            check(got[key], want, 1.01 * step + 1e-3 * np.abs(want).max(), key)
    x = np.float32(golden["e2e.audio_int16"][:1] / 32768)
    noise = golden["e2e.x_T"][:1]
    want, got = (model.forward(p, x, noise) for p in (weights, params))
    error = np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2))
    assert error < {4: 0.4, 8: 0.04}[bits]


def test_weights_convert_and_stay_on_disk(weights, tmp_path):
    path = tmp_path / "flashsr.safetensors"
    load.save(weights, path)
    params = load.load(path)
    got, want = flatten(params), flatten(weights)
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], np.float32(value), err_msg=name)
    conv = got["vae.encoder.mid.block_1.conv1.weight"]
    assert isinstance(conv.base, np.memmap)
    assert np.ascontiguousarray(conv, np.float32) is conv  # nor does `cast` copy it
    assert len(safetensors.numpy.load_file(path)) == len(want)


def test_what_is_no_set_of_weights_is_refused(weights, tmp_path):
    path = tmp_path / "flashsr.safetensors"

    def refused(match, source=path):
        with pytest.raises(WeightsError, match=match) as error:
            load.load(source)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 400

    refused("it has to be a folder")
    refused(r"no vae\.pth and no student_ldm\.pth and no sr_vocoder\.pth in it: hf", tmp_path)
    refused("vae lacks the tensor encoder.conv_in.weight and 251 more", {"unet": weights["unet"]})
    swapped = {**weights, "vae": weights["vocoder"], "vocoder": weights["vae"]}
    refused("vae lacks the tensor", swapped)
    broken = nest({n: np.array(v) for n, v in flatten(weights).items()})
    broken["unet"]["out"]["2"]["bias"][0] = np.nan
    refused(r"unet\.out\.2\.bias holds NaN", broken)
    broken["unet"]["out"]["2"]["bias"] = np.zeros(9)
    refused(r"out\.2\.bias has shape \(9,\); expected \(8,\)", broken)
    load.save(weights, path)
    with pytest.raises(WeightsError, match="is no bundle, but the variant int4 is asked for"):
        load.load(path, "int4")
    with pytest.raises(ValueError, match="got 'int2'"):
        load.load(path, "int2")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("not a whole file")
    path.write_bytes(whole[:100])
    refused("not a safetensors file")
    path.write_bytes(b"")
    refused("not a safetensors file")
    safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path)
    refused("weights of None, expected 'FlashSR'")


def test_what_is_no_bundle_is_refused(weights, tmp_path):
    def refused(match):
        with pytest.raises(WeightsError, match=match) as error:
            load.load(tmp_path)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 400

    write_bundle(tmp_path, weights, 4)
    config, bundle = tmp_path / "config.json", tmp_path / "model.safetensors"
    said, data = json.loads(config.read_text()), bundle.read_bytes()
    config.write_text(json.dumps({**said, "quantization": {**said["quantization"], "bits": 8}}))
    refused(r"expected \(\d+, \d+\), 8 bits")
    config.write_text(json.dumps({**said, "quantization": {**said["quantization"], "bits": 3}}))
    refused("3 bits in groups of 64; expected 'mlx_affine_flat', 4 or 8 bits")
    config.write_text("{}")
    refused(r"config\.json does not describe a bundle")
    config.write_text(json.dumps({**said, "quantized_shapes": {}}))
    refused("is quantised, but config.json does not say so")
    extra = {**said["quantized_shapes"], "vae.no.weight": [1, 64]}
    config.write_text(json.dumps({**said, "quantized_shapes": extra}))
    refused(r"lacks the tensor vae\.no\.weight")
    config.write_text(json.dumps(said))
    bundle.write_bytes(data[:-2])
    refused("not a whole file")
    tensors = safetensors.numpy.load(data)
    del tensors["vae.quant_conv.bias"]
    safetensors.numpy.save_file(tensors, bundle)
    refused(r"the bundle lacks the tensor vae\.quant_conv\.bias")


# The layers that no other network has.


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
def test_conv2d(dtype, size, taps, stride, pads):
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
def test_attention(dtype):
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
def test_group_norm(dtype):
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


def test_repeat2():
    got = layers.repeat2(np.array([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(got, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
