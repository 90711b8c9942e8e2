"""SpeechSR against the oracle on random weights, against the original, and its checkpoints."""

import zipfile

import material
import numpy as np
import oracle
import pytest
import soundfile
from conftest import JAX_TOLERANCE, TOLERANCE, check, random_params, runner, shared, speech_like
from fasr import fasr
from material import as_lists

from novasr_np import Stream, WeightsError, forward, load_weights, stages, upsample
from novasr_np.networks import NETWORKS
from novasr_np.networks.speechsr import fast, spec
from novasr_np.weights import as_weights

NETWORK = NETWORKS["SpeechSR-48k"]
TO_24K = NETWORKS["SpeechSR-24k"]
KINDS = {"48k": "speechsr48k_G_100000.pth", "24k": "speechsr24k_G_340000.pth"}
CASES = ("speech", "noise", "impulse", "silence", "two", "loud")
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
MOST = {np.float64: 1e-11, np.float32: 5e-6}


def checkpoint_path(kind="48k"):
    return shared(f"upstream/speechsr/{KINDS[kind]}")


@pytest.fixture(scope="module")
def originals():
    return load_weights(checkpoint_path()).params


@pytest.fixture(scope="module", params=KINDS)
def either(request):
    """(kind, weights) of each network."""
    return request.param, load_weights(checkpoint_path(request.param)).params


@pytest.mark.parametrize("samples", [1, 2, 9])
def test_oracle_agrees(samples):
    params = random_params(samples, NETWORK)
    x = np.random.default_rng(samples).uniform(-1, 1, samples)
    check(forward(params, x), oracle.speechsr(as_lists(params), x.tolist()), 1e-12)
    if samples > 1:
        params = random_params(samples, TO_24K)
        check(forward(params, x), oracle.speechsr_24k(as_lists(params), x.tolist()), 1e-12)


@DTYPES
def test_golden_outputs(either, dtype):
    kind, originals = either
    with np.load(shared(f"golden/speechsr_{kind}.npz")) as golden:
        for case in CASES:
            x = golden[f"{case}.x"].astype(dtype)
            y = forward(originals, x)
            assert y.dtype == dtype
            check(y, golden[f"{case}.y"], MOST[dtype], case)
            if kind == "48k":
                y = fasr(originals, x)
                check(y, golden[f"{case}.fasr"], MOST[dtype], case)


@DTYPES
def test_golden_stages(either, dtype):
    kind, originals = either
    with np.load(shared(f"golden/speechsr_{kind}.npz")) as golden:
        ours = dict(stages(originals, golden["stages.x"].astype(dtype)))
        names = [key.removeprefix("stage.") for key in golden if key.startswith("stage.")]
        assert len(names) == 22
        for name in names:
            own = name.removesuffix("act") + "snakebeta" if name.endswith(".act") else name
            own = own if own in ours else f"{own}.downsample"
            check(ours[own], golden[f"stage.{name}"], {np.float64: 1e-11, np.float32: 2e-5}[dtype])
        check(ours["y"], golden["stages.y"], MOST[dtype])


@pytest.mark.parametrize("kind", ["48k", pytest.param("24k", marks=pytest.mark.slow)])
def test_golden_outputs_in_jax(kind):
    novasr_jax = pytest.importorskip("novasr_jax", reason="needs the extra jax")
    originals = load_weights(checkpoint_path(kind))
    with np.load(shared(f"golden/speechsr_{kind}.npz")) as golden:
        for case in CASES:
            x, y = golden[f"{case}.x"], golden[f"{case}.y"]
            if len(x) % 2 and kind == "24k":  # which the front door would pad
                got = novasr_jax.forward(originals, x)
            else:
                got = novasr_jax.upsample(x, weights=originals, batch=8, segment=500)
            check(got, y, JAX_TOLERANCE[0], case)


@pytest.mark.slow
def test_verify_takes_its_model(tmp_path, monkeypatch, capfd):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    monkeypatch.chdir(tmp_path)
    cli, path = runner(capfd), checkpoint_path()
    assert cli("export", "onnx", "a.onnx", "--weights", path)[0] == 0
    status, out, _ = cli("verify", "--onnx", "a.onnx", "--weights", path, "--long", "0")
    assert (status, "verdict: float32" in out) == (0, True)
    assert cli("verify", "--export", "kit", "--weights", path)[0] == 0


@pytest.mark.parametrize("opset", [11, 21])
def test_onnx_gives_what_numpy_gives(opset):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    params = random_params(2, NETWORK)
    model = NETWORK.ports.to_onnx(params, opset=opset)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in ((1, 1), (2, 2), (3, 500)):
        x = np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)
        (y,) = session.run(None, {"input": x[:, None]})
        check(y[:, 0], forward(params, np.float64(x)), 5e-6)


@pytest.mark.parametrize("samples", [0, 1, 2, 139, 140, 141, 281, 1001])
def test_24k_of_an_odd_length_is_that_of_one_zero_more(samples):
    """So that whole files, streams and batches agree; the bare network has its own way."""
    params = random_params(0, TO_24K)
    x = np.random.default_rng(samples).uniform(-1, 1, samples)
    y = upsample(x, weights=params)
    assert len(y) == -(-3 * samples // 2)
    if samples:
        padded = np.append(x, np.zeros(samples % 2))
        check(y, forward(params, padded)[: len(y)], 1e-12)
    for size in (1, 100, 1001) if samples < 300 else (777,):
        stream = Stream(params, dtype=np.float64)
        parts = [stream.push(x[i : i + size]) for i in range(0, samples, size)]
        check(np.concatenate([*parts, stream.push(x[:0], last=True)]), y, 1e-12)


@pytest.mark.parametrize(
    "samples",
    [141, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 2, 139, 140, 281, 1001))],
)
def test_24k_of_an_odd_length_is_numpys_in_jax(samples):
    jax = pytest.importorskip("novasr_jax", reason="needs the extra jax")
    params = random_params(0, TO_24K)
    x = np.random.default_rng(samples).uniform(-1, 1, samples)
    got = jax.upsample(np.float32(x), weights=params, batch=4, segment=501)
    check(got, upsample(x, weights=params), JAX_TOLERANCE[0])


def test_an_odd_sample_is_not_lost_in_jax():
    jax = pytest.importorskip("novasr_jax", reason="needs the extra jax")
    with pytest.raises(ValueError, match="a multiple of 2 samples, got 51: add zeros"):
        jax.FastSR(random_params(0, TO_24K)).infer(np.zeros((1, 1, 51)))


def test_24k_by_the_command(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", speech_like(16_000), 16_000)
    cli = runner(capfd)
    path = checkpoint_path("24k")
    assert cli("a.wav", "--weights", path)[0] == 0
    info = soundfile.info("a_24k.wav")
    assert (info.samplerate, info.frames) == (24_000, 24_000)
    assert "published   SpeechSR-24k" in cli("weights", "show", path)[1]
    assert cli("weights", "convert", path, "s.safetensors")[0] == 0
    assert load_weights("s.safetensors").network is TO_24K
    assert "has no ONNX export" in cli("export", "onnx", "a.onnx", "--weights", path)[2]


@DTYPES
@pytest.mark.parametrize("samples", [1, 2, 50, 99, 100, 101, 333])
def test_tiles_meet(samples, dtype, monkeypatch):
    """Whatever the scratch holds from before."""
    monkeypatch.setattr(fast, "_TILE", 50)
    for network in (NETWORK, TO_24K):
        params, at = random_params(1, network), network.at
        count, context = samples * network.cut.step, network.cut.left
        x = np.random.default_rng(samples).uniform(-1, 1, count + 2 * context)
        want = forward(params, x)[at(context) : at(count + context)]
        memory = network.compute.scratch(4000, dtype)
        for array in memory:
            array[:] = 0.7
        for _ in range(2):
            y = np.empty(at(count), dtype)
            network.compute.interior(
                network.compute.fold(params, dtype), x.astype(dtype), y, memory
            )
            check(y, want, TOLERANCE[dtype][0])


def test_the_weights_say_which_network(originals, tmp_path, monkeypatch, capfd):
    """The same doors, with the checkpoint's path."""
    assert as_weights(originals).network is NETWORK
    path = checkpoint_path()
    x = speech_like(5000)
    check(upsample(x, weights=path), forward(originals, np.float64(x)), MOST[np.float32])
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", x, 16_000, subtype="FLOAT")
    cli = runner(capfd)
    assert cli("a.wav", "--weights", path, "--keep-lowband", "off")[0] == 0
    y, rate = soundfile.read("a_48k.wav")
    assert rate == 48_000
    check(y, forward(originals, np.float64(x)), MOST[np.float32])
    status, out, _ = cli("weights", "show", path)
    assert status == 0
    assert "parameters  131,296 trained, 131,752 with the filters" in out
    assert "published   SpeechSR-48k" in out
    assert cli("weights", "convert", path, "s.safetensors")[0] == 0
    assert "licence     MIT" in cli("weights", "show", "s.safetensors")[1]
    check(upsample(x, weights="s.safetensors"), y, MOST[np.float32])


def speechsr_checkpoint(edit=None) -> bytes:
    """A checkpoint of this network's kind, random numbers, after an edit; with 20 MB of moments."""
    rng = np.random.default_rng(0)
    values = {k: rng.normal(1, 0.1, shape) for k, shape in spec.UPSTREAM_TENSORS.items()}
    if edit:
        edit(values)
    state, members = material.tensors_of(values)
    moments = material.tensor("9999", (5_000_000,), material.FLOAT)
    members["data/9999"] = bytes(20_000_000)
    optimizer = {"state": {0: {"step": 3, "exp_avg": moments}}, "param_groups": [{"lr": 1e-4}]}
    whole = {"model": state, "iteration": 1, "optimizer": optimizer, "learning_rate": 9e-5}
    return material.checkpoint(whole, members, "G")


def test_an_optimisers_state_is_never_read(tmp_path, monkeypatch):
    read, sizes = zipfile.ZipFile.read, []

    def counted(self, name, *arguments):
        data = read(self, name, *arguments)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipFile, "read", counted)
    (tmp_path / "G.pth").write_bytes(speechsr_checkpoint())
    assert load_weights(tmp_path / "G.pth", "48k").network is NETWORK
    assert sum(sizes) < 1_000_000


def test_a_checkpoint_saved_again_is_never_taken_for_the_other_network(
    tmp_path, monkeypatch, capfd
):
    """Its tensors do not say which it is for, and its hash no longer does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "G.pth").write_bytes(speechsr_checkpoint())
    with pytest.raises(WeightsError, match=r"G\.pth: SpeechSR-48k and .* 48k or 24k, got None"):
        load_weights("G.pth")
    with pytest.raises(WeightsError, match="variant must be 48k or 24k, got 'int4'"):
        load_weights("G.pth", "int4")
    cli = runner(capfd)
    assert "variant must be 48k or 24k" in cli("weights", "show", "G.pth")[2]
    for network, other in ((NETWORK, "24k"), (TO_24K, "48k")):
        variant = network.weights.variant
        assert load_weights("G.pth", variant).network is network
        licence = ("--licence", "MIT", "-f")
        assert cli("weights", "convert", "G.pth", "s", "--variant", variant, *licence)[0] == 0
        assert load_weights("s").network is network
        with pytest.raises(ValueError, match=f"s is for {network.name}, so variant must be"):
            load_weights("s", other)


BAD = {
    "wrong shape": (lambda v: v.update({"dec.conv_post.weight": np.ones((1, 32, 5))}), "shape"),
    "no g": (lambda v: v.pop("dec.conv_pre.weight_g"), "missing tensor dec.conv_pre.weight_g"),
    "no v": (lambda v: v.pop("dec.conv_pre.weight_v"), "missing tensor dec.conv_pre.weight_v"),
    "v of zeros": (
        lambda v: v.update({"dec.conv_pre.weight_v": np.zeros((32, 1, 7))}),
        "conv_pre.weight_v has a direction of length 0",
    ),
    "g of zeros": (
        lambda v: v.update({"dec.conv_pre.weight_g": np.zeros((32, 1, 1))}),
        "conv_pre.weight_g is all zeros",
    ),
    "NaN": (lambda v: v["dec.conv_pre.bias"].fill(np.nan), "NaN"),
    "another tensor": (
        lambda v: v.update({"dec.more": np.ones(3)}),
        "tensor dec.more, which SpeechSR-48k does not have",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_checkpoints_are_refused(case, tmp_path):
    edit, words = BAD[case]
    (tmp_path / "G.pth").write_bytes(speechsr_checkpoint(edit))
    with pytest.raises(WeightsError, match=words):
        load_weights(tmp_path / "G.pth", "48k")


def test_a_magnitude_of_zero_is_no_error(tmp_path):
    """A network may have learnt that: silence from one channel."""

    def edit(values):
        values["dec.conv_pre.weight_g"][3] = 0

    (tmp_path / "G.pth").write_bytes(speechsr_checkpoint(edit))
    assert not load_weights(tmp_path / "G.pth", "48k").params["conv_pre"]["weight"][3].any()
