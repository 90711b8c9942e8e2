"""The plugins as their programs call them."""

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import check, speech_like

from novasr_np import upsample
from novasr_np.plugins import comfyui


class Tensor(np.ndarray):
    """As much of a torch tensor as the node asks for."""

    def cpu(self):
        return self

    def new_tensor(self, value):
        return np.asarray(value, self.dtype).view(Tensor)


def tensors():
    yield lambda x: x.view(Tensor)
    if importlib.util.find_spec("torch"):
        import torch  # noqa: PLC0415

        yield torch.from_numpy


@pytest.mark.parametrize("make", list(tensors()), ids=lambda make: make.__module__)
@pytest.mark.parametrize(("rate", "shape"), [(16_000, (1, 2, 3000)), (24_000, (2, 1, 500))])
def test_comfyui_node(make, rate, shape):
    node = comfyui.NODE_CLASS_MAPPINGS["NovaSRUpsample"]()
    choices = node.INPUT_TYPES()["required"]["weights"][0]
    x = speech_like(int(np.prod(shape)), rate).reshape(shape).astype(np.float32)
    audio = {"waveform": make(x), "sample_rate": rate}
    out, picture = getattr(node, node.FUNCTION)(audio, choices[0], True)
    assert out["sample_rate"] == 48_000
    y = np.asarray(out["waveform"])
    assert type(out["waveform"]) is type(audio["waveform"])
    check(y, upsample(x, rate, keep_lowband=True), 1e-7)
    image = np.asarray(picture)
    assert (image.shape[0], image.shape[1], image.shape[3]) == (shape[0], 1025, 3)
    assert 0 <= image.min() < image.max() <= 1


def test_comfyui_node_with_a_file_of_weights(weights_file, params):
    node = comfyui.NODE_CLASS_MAPPINGS["NovaSRUpsample"]()
    x = speech_like(2000).reshape(1, 1, -1).view(Tensor)
    audio = {"waveform": x, "sample_rate": 16_000}
    out, _ = node.run(audio, "novasr-open", False, str(weights_file))
    check(out["waveform"], upsample(np.asarray(x), weights=params), 1e-7)


def test_the_comfyui_folder_can_be_copied(tmp_path):
    folder = tmp_path / "novasr"
    shutil.copytree(comfyui.__path__[0], folder)
    spec = importlib.util.spec_from_file_location("custom_nodes_novasr", folder / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.NODE_CLASS_MAPPINGS) == set(module.NODE_DISPLAY_NAME_MAPPINGS)


def test_the_comfyui_node_imports_no_torch():
    code = "import sys, novasr_np.plugins.comfyui; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def transformer(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    manager = pytest.importorskip(
        "ovos_plugin_manager.dialog_transformers", reason="needs the package ovos-plugin-manager"
    )
    found = manager.find_tts_transformer_plugins()
    return found["novasr-np"](config={"threads": 1})


@pytest.mark.filterwarnings("ignore")
def test_ovos_transformer(transformer, tmp_path):
    for rate in (16_000, 22_050):
        path = tmp_path / f"{rate}.wav"
        soundfile.write(path, speech_like(rate // 2, rate), rate)
        context = {"lang": "en"}
        out, same = transformer.transform(str(path), context)
        assert same is context
        assert out == str(tmp_path / f"{rate}_48k.wav")
        info = soundfile.info(out)
        assert (info.samplerate, info.subtype, info.frames) == (48_000, "PCM_16", 24_000)
    transformer.default_shutdown()


@pytest.mark.filterwarnings("ignore")
def test_ovos_transformer_gives_back_what_it_cannot_or_need_not_change(transformer, tmp_path):
    soundfile.write(tmp_path / "full.wav", speech_like(4800, 48_000), 48_000)
    (tmp_path / "broken.wav").write_text("no audio")
    for name in ("full.wav", "broken.wav", "missing.wav"):
        assert transformer.transform(str(tmp_path / name)) == (str(tmp_path / name), None)
    assert not list(tmp_path.glob("*_48k*"))


def test_the_entry_point_is_in_the_wheel():
    (entry,) = importlib.metadata.entry_points(group="opm.transformer.tts", name="novasr-np")
    assert entry.value == "novasr_np.plugins.ovos:NovaSRTransformer"
