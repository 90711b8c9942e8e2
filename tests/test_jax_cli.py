"""``novasr upsample --backend jax`` beside the numpy backend."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import JAX_TOLERANCE, check, speech_like

from novasr_np.cli import main

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="needs the extra jax"
)
JAX = ("--backend", "jax", "--batch", "8", "--segment", "500")


@pytest.fixture
def folder(tmp_path, monkeypatch, weights_file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    return tmp_path


@needs_jax
@pytest.mark.parametrize(
    ("rate", "samples", "channels"),
    [(16_000, 9000, 1), (16_000, 9000, 9), (44_100, 20_000, 3), (8000, 1, 1)],
)
def test_gives_what_numpy_gives(rate, samples, channels, folder):
    """In chunks of a batch; more channels than rows, too."""
    x = np.stack([speech_like(samples, rate, seed) for seed in range(channels)], axis=-1)
    soundfile.write("a.wav", x, rate, subtype="FLOAT")
    for name, options in (("numpy.wav", ()), ("jax.wav", JAX)):
        assert main(["upsample", "a.wav", "-o", name, "--subtype", "FLOAT", "-q", *options]) == 0
    want, _ = soundfile.read("numpy.wav")
    got, rate = soundfile.read("jax.wav")
    assert rate == 48_000
    check(got, want, JAX_TOLERANCE[0])


@needs_jax
def test_options_reach_the_network(folder, capfd):
    soundfile.write("a.wav", speech_like(2000), 16_000)
    options = (*JAX, "--device", "cpu", "--precision", "bf16", "--json", "--subtype", "FLOAT")
    assert main(["upsample", "a.wav", "-o", "bf16.wav", *options]) == 0
    assert json.loads(capfd.readouterr().out)["summary"]["done"] == 1
    assert main(["upsample", "a.wav", "-o", "exact.wav", "-q", "--subtype", "FLOAT", *JAX]) == 0
    difference = soundfile.read("bf16.wav")[0] - soundfile.read("exact.wav")[0]
    assert 1e-5 < np.abs(difference).max() < 0.05


@pytest.mark.slow
@needs_jax
def test_compilation_cache_fills_a_folder(folder):
    soundfile.write("a.wav", speech_like(2000), 16_000)
    command = [sys.executable, "-m", "novasr_np.cli", "upsample", "a.wav", "-q", *JAX]
    command += ["--compilation-cache", "cache", "--if-exists", "overwrite"]
    subprocess.run(command, check=True)
    kept = sorted(p.name for p in (folder / "cache").iterdir() if p.name.endswith("-cache"))
    assert len(kept) >= 5
    subprocess.run(command, check=True)
    assert kept == sorted(p.name for p in (folder / "cache").iterdir() if p.name.endswith("-cache"))


@needs_jax
def test_a_device_out_of_memory_is_told(folder, capfd, monkeypatch):
    import jax  # noqa: PLC0415

    from novasr_jax.networks.novasr import fast  # noqa: PLC0415

    def full(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")

    monkeypatch.setattr(fast, "_wave0", full)
    soundfile.write("a.wav", speech_like(2000), 16_000)
    assert main(["upsample", "a.wav", *JAX]) == 1
    assert (
        "too little memory for 8 rows of 500 samples: choose a smaller batch"
        in capfd.readouterr().err
    )
    assert not (folder / "a_48k.wav").exists()


def test_without_jax_a_message_names_the_extra(folder, capfd, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    soundfile.write("a.wav", speech_like(200), 16_000)
    with pytest.raises(SystemExit) as exit:
        main(["upsample", "a.wav", "--backend", "jax"])
    assert exit.value.code == 2
    assert "pip install 'novasr-np[jax]'" in capfd.readouterr().err
    assert not (folder / "a_48k.wav").exists()


@needs_jax
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--precision", "high"), "--precision needs --backend jax"),
        (("--compilation-cache", "c"), "--compilation-cache needs --backend jax"),
        (("--backend", "jax", "--threads", "2"), "--threads is for the numpy backend"),
        (("--backend", "jax", "--device", "tpu"), "that JAX has, got 'tpu'"),
        (("--backend", "jax", "--batch", "0"), "expected a whole number of at least 1"),
    ],
)
def test_options_that_do_not_go_together(options, words, folder, capfd):
    soundfile.write("a.wav", speech_like(200), 16_000)
    with pytest.raises(SystemExit) as exit:
        main(["upsample", "a.wav", *options])
    assert exit.value.code == 2
    assert words in capfd.readouterr().err
    assert not (folder / "a_48k.wav").exists()
