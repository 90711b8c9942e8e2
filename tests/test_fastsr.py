"""The original package's calls: scripts that were written for torch, with the import changed."""

import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
import soundfile
from conftest import TOLERANCE, check, random_params, shared, speech_like
from material import novasr_checkpoint

import novasr_np
from novasr_np import FastSR, WeightsError, forward, load_weights
from novasr_np.networks.novasr import spec
from novasr_np.tensors import flatten

# As its README has it, and as the plugin for OVOS does it; only the first line is ours.
SCRIPT = """
from novasr_np import FastSR

upsampler = FastSR("{weights}")
lowres = upsampler.load_audio("in.wav")
highres = upsampler.infer(lowres).cpu()

import soundfile
soundfile.write("out.wav", highres.squeeze(0).numpy(), 48_000, subtype="FLOAT")

up = FastSR("{weights}", half=False, device="cpu")
x = up.load_audio("in.wav").float().to(up.device)
assert x.shape == (1, 1, lowres.shape[-1])
again = up.model(x).squeeze(0).cpu().numpy()
assert (again == highres.numpy()).all()
"""


@pytest.mark.parametrize("version", [1, 2])
def test_a_script_runs_with_the_import_changed_and_gives_what_the_original_gave(version, tmp_path):
    weights = shared(f"upstream/pytorch_model_v{version}.bin")
    with np.load(shared(f"golden/novasr_v{version}.npz")) as golden:
        cases = {key.split(".")[0] for key in golden}
        case = max(
            cases, key=lambda c: len(golden[f"{c}.x"]) * (np.abs(golden[f"{c}.x"]).max() <= 1)
        )
        x, y = golden[f"{case}.x"], golden[f"{case}.y"]
    soundfile.write(tmp_path / "in.wav", x, 16_000, subtype="FLOAT")
    script = SCRIPT.format(weights=weights)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    got, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 48_000
    check(got, y, TOLERANCE[np.float32][0])


@pytest.fixture(params=["novasr_np", "novasr_jax"])
def package(request):
    return pytest.importorskip(request.param, reason="needs the extra jax")


def test_shapes_and_the_first_channel(package, params, tmp_path):
    x = np.stack([speech_like(4410, 44_100, seed) for seed in range(2)])
    soundfile.write(tmp_path / "a.wav", x.T, 44_100, subtype="FLOAT")
    up = package.FastSR(params)
    low = up.load_audio(tmp_path / "a.wav")
    assert (low.shape, low.dtype) == ((1, 1, 1600), np.float32)
    check(low[0, 0], novasr_np.resample(np.float32(x[0]), 44_100, "upstream"), 1e-6)
    y = up.infer(low)
    assert (y.shape, y.dtype) == ((1, 4796), np.float32)
    check(y[0], forward(params, np.float64(low[0, 0])), 1e-5)
    both = np.concatenate([low, -low])
    assert up.infer(both).shape == (2, 1, 4796)
    check(up.infer(both)[0], y, 2e-6)
    assert up.model(low).shape == (1, 1, 4796)
    assert (up.device, up.half) == ("cpu", True)


def test_what_calls_itself_an_array(params):
    """Such as a tensor of torch, which need not be installed."""

    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.zeros((1, 1, 50), np.float16).astype(dtype or np.float16)

    assert FastSR(params).infer(Tensor()).shape == (1, 146)


def test_calls_of_a_tensor(params):
    y = FastSR(params).infer(np.zeros((1, 1, 50)))
    assert type(y.numpy()) is np.ndarray
    assert y.half().dtype == np.float16
    assert y.half().float().dtype == np.float32
    assert y.detach().to("cuda", dtype="float16").unsqueeze(0).shape == (1, 1, 146)


@pytest.mark.parametrize("shape", [(50,), (1, 50), (1, 2, 50), (1, 1, 1)])
def test_other_shapes_are_refused(params, shape):
    with pytest.raises(ValueError, match=r"samples must be \[B, 1, T\], T at least 2"):
        FastSR(params).infer(np.zeros(shape))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_safetensors_with_the_originals_names(dtype, tmp_path):
    """What users of ComfyUI have."""
    ours = flatten(random_params(0))
    theirs = {
        key: ours[name].reshape(shape).astype(dtype) for name, (key, shape) in spec.TENSORS.items()
    }
    path = tmp_path / "NovaSR.safetensors"
    path.write_bytes(safetensors.numpy.save(theirs))
    np.testing.assert_equal(load_weights(path).params, random_params(0))
    del theirs["dec.conv_post.weight"]
    path.write_bytes(safetensors.numpy.save(theirs))
    with pytest.raises(WeightsError, match=r"missing tensor dec\.conv_post\.weight"):
        load_weights(path)


@pytest.mark.parametrize("name", ["state_dict", "model"])
def test_checkpoints_with_the_weights_under_a_name(name, tmp_path):
    data = novasr_checkpoint(lambda state: {name: dict(state), "epoch": 3, "lr": [0.1, None]})
    (tmp_path / "NovaSR.ckpt").write_bytes(data)
    np.testing.assert_equal(load_weights(tmp_path / "NovaSR.ckpt").params, random_params(0))
