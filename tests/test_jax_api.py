"""The front door in JAX: numpy's contract, and lists of clips."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import JAX_TOLERANCE, check, speech_like

jax = pytest.importorskip("jax", reason="needs the extra jax")

import novasr_jax  # noqa: E402
import novasr_np  # noqa: E402
from novasr_jax import upsample  # noqa: E402

SHAPE = {"batch": 8, "segment": 500}


@pytest.mark.parametrize("samples", [0, 1, 2, 46, 47, 1600])
def test_equals_numpys(samples, params):
    x = speech_like(samples)
    y = upsample(x, weights=params, **SHAPE)
    assert y.dtype == np.float32
    check(y, novasr_np.upsample(np.float64(x), weights=params), JAX_TOLERANCE[0])


@pytest.mark.parametrize("resampler", ["auto", "steep"])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_other_rates(rate, resampler, params):
    x = np.stack([speech_like(rate // 5, rate, seed) for seed in (1, 2)])
    want = novasr_np.upsample(np.float64(x), rate, weights=params, resampler=resampler)
    got = upsample(x, rate, weights=params, resampler=resampler, **SHAPE)
    check(got, want, JAX_TOLERANCE[0])


@pytest.mark.parametrize(("rate", "keep"), [(16_000, True), (24_000, True), (44_100, 7000)])
def test_low_band_kept(rate, keep, params):
    clips = [np.float64(speech_like(samples, rate)) for samples in (rate // 5, 0, 3)]
    got = upsample(clips, rate, weights=params, keep_lowband=keep, **SHAPE)
    for x, y in zip(clips, got, strict=True):
        check(y, novasr_np.upsample(x, rate, weights=params, keep_lowband=keep), JAX_TOLERANCE[0])


def test_leading_axes_are_channels(params):
    x = speech_like(1200).reshape(2, 3, 200)
    check(upsample(x, weights=params, **SHAPE), novasr_np.upsample(x, weights=params), 1e-5)
    assert upsample(x[:, :0], weights=params, **SHAPE).shape == (2, 0, 600)


def test_a_list_gives_a_list(params):
    clips = [speech_like(700), np.int16([[5, -5, 3], [1, 2, 3]]), speech_like(0), speech_like(61)]
    ys = upsample(clips, weights=params, **SHAPE)
    assert isinstance(ys, list)
    for x, y in zip(clips, ys, strict=True):
        assert y.dtype == np.float32
        check(y, novasr_np.upsample(x, weights=params), 1e-5)
    assert upsample([], weights=params, **SHAPE) == []
    for x, y in zip(ys, upsample(iter(clips), weights=params, **SHAPE), strict=True):
        np.testing.assert_array_equal(x, y)


def test_jax_arrays_are_taken(params):
    x = speech_like(100)
    y = upsample(jax.numpy.asarray(x), weights=params, **SHAPE)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, upsample(x, weights=params, **SHAPE))


def test_float64_is_float32_unless_jax_has_64_bits(params):
    x = np.float64(speech_like(300))
    assert upsample(x, weights=params, **SHAPE).dtype == np.float32


def test_float64_where_jax_has_64_bits(params, x64):
    x = np.float64(speech_like(300))
    y = upsample(x, weights=params, **SHAPE)
    assert y.dtype == np.float64
    check(y, novasr_np.upsample(x, weights=params), 1e-12)


@pytest.mark.parametrize("precision", ["high", "fp16", "bf16"])
def test_precision_is_passed_on(precision, params):
    x = speech_like(1600)
    exact = upsample(x, weights=params, **SHAPE)
    y = upsample(x, weights=params, precision=precision, **SHAPE)
    check(y, exact, 0.05)
    assert precision == "high" or np.abs(y - exact).max() > 1e-5


@pytest.mark.parametrize(
    ("x", "rate", "error", "words"),
    [
        (np.float32([0, np.nan]), 16_000, ValueError, r"got nan at index \(1,\)"),
        (np.float32(1), 16_000, ValueError, "scalar"),
        ([np.zeros(3), 1.0], 16_000, ValueError, "scalar"),
        (np.zeros(3, np.int32), 16_000, TypeError, "int32"),
        (np.zeros(3), 16_000.5, TypeError, "16000.5"),
        (np.zeros((2000, 2)), 16_000, ValueError, r"did you mean x\.T"),
        ([np.zeros((2000, 2))], 16_000, ValueError, r"did you mean x\.T"),
        ("a.wav", 16_000, TypeError, "read a file first"),
        (np.zeros(3), 0, ValueError, "0"),
    ],
)
def test_bad_input_is_refused_as_numpy_does(x, rate, error, words, params):
    with pytest.raises(error, match=words):
        upsample(x, rate, weights=params)


def test_nan_never_becomes_sound(params):
    x = np.full(3000, 1e9, np.float32) * np.float32((-1.0) ** np.arange(3000))
    weight = params["conv_pre"]["weight"] * np.float32(1e34)
    changed = params | {"conv_pre": params["conv_pre"] | {"weight": weight}}
    with pytest.raises(novasr_np.WeightsError, match="returned NaN with these weights"):
        upsample(x, weights=changed, **SHAPE)
    snakebeta = dict.fromkeys(("alpha", "beta"), np.full(32, 60_000, np.float32))
    changed = params | {"activation0": params["activation0"] | {"snakebeta": snakebeta}}
    with pytest.raises(novasr_np.WeightsError, match="too large for float32"):
        upsample(x, weights=changed, **SHAPE)


def test_weights_by_path(weights_file, params):
    x = speech_like(100)
    got = upsample(x, weights=weights_file, **SHAPE)
    np.testing.assert_array_equal(got, upsample(x, weights=params, **SHAPE))
    with pytest.raises(novasr_np.WeightsError):
        upsample(x, weights="nothing of this name")


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    """In a process of its own, as a kernel is."""
    pytest.importorskip("fcntl", reason="corpus jobs need the file locks of Unix")
    path = Path(novasr_jax.__file__).with_name("tpu.ipynb")
    cells = json.loads(path.read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "x real time" in done.stdout
    assert done.stdout.count("48000 Hz") == 8
    assert "8 done, 0 before" in done.stderr
    assert "0 done, 8 before" in done.stderr
