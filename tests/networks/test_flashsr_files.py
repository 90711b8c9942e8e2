"""FlashSR's weights in files: the original's, in few bits, and as safetensors."""

import json

import material
import numpy as np
import pytest
import safetensors.numpy
from conftest import check, shared
from material import FLASHSR_SMALL, flashsr_originals, write_bundle, write_flashsr

from novasr_np.errors import WeightsError
from novasr_np.networks.flashsr import load, model, vocoder
from novasr_np.networks.flashsr.mlx import read_bundle
from novasr_np.tensors import flatten, nest


@pytest.fixture(scope="module")
def golden():
    return material.flashsr_golden()


@pytest.fixture(scope="module")
def weights():
    return material.flashsr_weights()


def test_the_originals_files_load(weights, golden, tmp_path):
    write_flashsr(tmp_path, flashsr_originals(FLASHSR_SMALL, golden["voc.filter"]))
    got, want = flatten(load.load(tmp_path)), flatten(weights)
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], np.float32(value), err_msg=name)
        assert got[name].dtype == np.float32


def test_folded_weights_rounded_to_float32_cost_a_millionth(golden, tmp_path):
    """Of a stage's root mean square, in float64; not rounded, they cost 1e-10."""
    write_flashsr(tmp_path, flashsr_originals(FLASHSR_SMALL, golden["voc.filter"]))
    vocoder_weights = load.load(tmp_path)["vocoder"]
    stages = dict(vocoder.stages(vocoder_weights, golden["voc.mel"], golden["voc.lr"]))
    errors = {}
    for name, got in stages.items():
        if (want := golden.get(f"voc.{name}")) is not None:
            errors[name] = np.abs(got - want).max() / np.sqrt(np.mean(want**2))
    assert len(errors) > 10
    assert max(errors.values()) < 1e-6
    assert max(errors.values()) > 1e-8  # else the documents could promise more


def test_other_files_than_the_originals_are_refused(golden, tmp_path):
    states = flashsr_originals(FLASHSR_SMALL, golden["voc.filter"])
    write_flashsr(tmp_path, states)

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
    refused(r"vae\.pth: not a complete checkpoint")
    vae.write_bytes(first)
    bias = {**states["vae.pth"], "decoder.conv_out.bias": np.zeros(2, np.float32)}
    write_flashsr(tmp_path, {"vae.pth": bias})
    refused(r"vae\.pth: tensor decoder\.conv_out\.bias must have shape \(1,\), got \(2,\)")
    vae.write_bytes(first)
    vocoder.unlink()
    refused(r"no sr_vocoder\.pth in it: hf download")
    name = "ups.0.0.weight_v"
    broken = {**states["sr_vocoder.pth"], name: np.zeros_like(states["sr_vocoder.pth"][name])}
    write_flashsr(tmp_path, {"sr_vocoder.pth": broken})
    refused(r"ups\.0\.0\.weight_v has a direction of length 0")
    del broken["conv_pre.bias"]
    write_flashsr(tmp_path, {"sr_vocoder.pth": broken})
    refused(r"sr_vocoder\.pth: missing tensor conv_pre\.bias, which FlashSR")
    write_flashsr(tmp_path, {"sr_vocoder.pth": {**states["sr_vocoder.pth"], "a": np.ones(1)}})
    refused(r"sr_vocoder\.pth: tensor a, which FlashSR.s sr_vocoder\.pth does not have")


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

    refused("weights must be a folder")
    refused(r"no vae\.pth and no student_ldm\.pth and no sr_vocoder\.pth in it: hf", tmp_path)
    refused(
        "missing tensor encoder.conv_in.weight and 251 more, which FlashSR.s vae has",
        {"unet": weights["unet"]},
    )
    swapped = {**weights, "vae": weights["vocoder"], "vocoder": weights["vae"]}
    refused("missing tensor", swapped)
    broken = nest({n: np.array(v) for n, v in flatten(weights).items()})
    broken["unet"]["out"]["2"]["bias"][0] = np.nan
    refused(r"unet\.out\.2\.bias must be finite", broken)
    broken["unet"]["out"]["2"]["bias"] = np.zeros(9)
    refused(r"out\.2\.bias must have shape \(8,\), got \(9,\)", broken)
    load.save(weights, path)
    with pytest.raises(WeightsError, match="is no bundle, so it has no variant 'int4'"):
        load.load(path, "int4")
    with pytest.raises(ValueError, match="got 'int2'"):
        load.load(path, "int2")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("not a complete file")
    path.write_bytes(whole[:100])
    refused("not a safetensors file")
    path.write_bytes(b"")
    refused("not a safetensors file")
    safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path)
    refused("model must be 'FlashSR', got None")


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
    refused(r"must have shape \(\d+, \d+\), 8 bits")
    config.write_text(json.dumps({**said, "quantization": {**said["quantization"], "bits": 3}}))
    refused("4 or 8 bits in groups of 64, got 'mlx_affine_flat', 3 bits")
    config.write_text("{}")
    refused(r"config\.json does not describe a bundle")
    config.write_text(json.dumps({**said, "quantized_shapes": {}}))
    refused("is quantised, but config.json does not say so")
    extra = {**said["quantized_shapes"], "vae.no.weight": [1, 64]}
    config.write_text(json.dumps({**said, "quantized_shapes": extra}))
    refused(r"lacks the tensor vae\.no\.weight")
    config.write_text(json.dumps(said))
    bundle.write_bytes(data[:-2])
    refused("not a complete file")
    tensors = safetensors.numpy.load(data)
    del tensors["vae.quant_conv.bias"]
    safetensors.numpy.save_file(tensors, bundle)
    refused(r"missing tensor vae\.quant_conv\.bias")
