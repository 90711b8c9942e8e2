"""Weights in and out: the original's checkpoints, safetensors, trees, and what is refused."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors.numpy
from conftest import random_params, shared
from material import HALF, REBUILD, Called, Name, checkpoint, novasr_checkpoint, tensor

from novasr_np import WeightsError, load_weights, save_weights
from novasr_np.networks.novasr import spec
from novasr_np.tensors import dequantise, flatten, quantise
from novasr_np.tensors.checkpoint import read_entries
from novasr_np.weights import (
    DEFAULT,
    Weights,
    embedded_weights,
    file_sha256,
    parameter_counts,
    read_weights,
)


def flat(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def assert_same(a, b):
    a, b = dict(flat(a)), dict(flat(b))
    assert list(a) == list(b) == list(spec.TENSORS)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def load_bytes(data, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return load_weights(path).params


def test_checkpoint_made_by_hand_loads(tmp_path):
    assert_same(load_bytes(novasr_checkpoint(), tmp_path), random_params(0))


def test_entries_beside_the_weights_are_read():
    entries = {"config": {"rates": [8, 2], "scale": 0.5, "on": True, "name": "a"}, "step": None}
    data = checkpoint({**entries, "model": {"w": tensor("0", (2,))}}, {"data/0": bytes(4)})
    assert read_entries(io.BytesIO(data)) == entries
    with pytest.raises(WeightsError, match="not a dict by names"):
        read_entries(io.BytesIO(checkpoint([1], {})))


def test_original_checkpoints(upstream):
    _, params = upstream
    arrays = dict(flat(params))
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}
    assert parameter_counts(arrays) == (23_200, 23_248)


SYSTEM = Name("os", "system")


def wrong(name, value):
    return lambda state: state.update({name: value})


CONV1 = "dec.resblocks.0.convs1.0.weight"
BAD_STATES = {
    "os.system": (wrong("dec.extra", Called(SYSTEM, "touch executed")), r"os\.system"),
    "builtins": (lambda s: Called(Name("builtins", "eval"), "1"), r"builtins\.eval"),
    "named only": (wrong(CONV1, SYSTEM), r"os\.system"),
    "wrong shape": (wrong(CONV1, tensor("6", (32, 11, 32))), r"\(32, 32, 11\).*\(32, 11, 32\)"),
    "missing tensor": (lambda s: s.pop("dec.conv_post.weight") and None, "conv_post"),
    "extra tensor": (wrong("dec.more", tensor("99", (1,))), "dec.more"),
    "float32": (
        wrong(CONV1, tensor("6", (32, 32, 11), Name("torch", "FloatStorage"))),
        "wants 45056 bytes, the checkpoint has 22528",
    ),
    "float64": (wrong(CONV1, tensor("6", (32, 32, 11), Name("torch", "DoubleStorage"))), "Double"),
    "stride": (wrong(CONV1, tensor("6", (32, 32, 11), stride=(1, 32, 1024))), "contiguous"),
    "offset": (wrong(CONV1, tensor("6", (32, 32, 11), offset=1)), "contiguous"),
    "few numbers": (wrong(CONV1, tensor("6", (32, 32, 11), numbers=5)), "its storage of 5"),
    "huge product": (
        wrong(CONV1, tensor("6", (("a",), 1 << 30), numbers=1, stride=(1, 1))),
        "an invalid shape",
    ),
    "a dict for a shape": (
        wrong(CONV1, Called(REBUILD, ("storage", HALF, "6", "cpu", 1), 0, {}, (), False, {})),
        "an invalid shape",
    ),
    "negative": (wrong(CONV1, tensor("6", (-32, -32, 11))), "an invalid shape"),
    "shared storage": (wrong(CONV1, tensor("1", (32,))), r"none of its own|shape"),
    "not a dict": (lambda s: [1, 2], "flat dict"),
    "a set": (lambda s: {1, 2}, r"builtin__\.set|builtins\.set"),
    "a number": (wrong(CONV1, 5), "flat dict"),
    "odd keys": (lambda s: {(1,): tensor("0", (32, 1, 7))}, "by names"),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_bad_state_is_refused_and_nothing_is_executed(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit, words = BAD_STATES[case]
    with pytest.raises(WeightsError, match=words):
        load_bytes(novasr_checkpoint(edit), tmp_path)
    assert not (tmp_path / "executed").exists()


def nan(members):
    members["data/0"] = np.full(224, np.nan, "<f2").tobytes()


BAD_MEMBERS = {
    "NaN weights": (nan, "conv_pre.weight must be finite"),
    "short storage": (lambda m: m.update({"data/0": b"12"}), "wants 448 bytes"),
    "foreign member": (lambda m: m.update({"code/run.py": b"1"}), "unexpected member"),
    "escape": (lambda m: m.update({"../../data/0": b"1"}), "unexpected member"),
    "big-endian": (lambda m: m.update({"byteorder": b"big"}), "little-endian"),
    "no pickle": (lambda m: m.pop("data.pkl"), "data.pkl"),
    "empty pickle": (lambda m: m.update({"data.pkl": b""}), "malformed"),
    "cut pickle": (lambda m: m.update({"data.pkl": m["data.pkl"][:200]}), "malformed"),
    "deep pickle": (lambda m: m.update({"data.pkl": b"\x80\x02}" + b"\x85" * 90_000}), "malformed"),
    "deep key": (
        lambda m: m.update({"data.pkl": b"\x80\x02})" + b"\x85" * 90_000 + b"Ns."}),
        "NONE|by names",
    ),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_bad_members_are_refused(case, tmp_path):
    edit, words = BAD_MEMBERS[case]
    with pytest.raises(WeightsError, match=words):
        load_bytes(novasr_checkpoint(edit_members=edit), tmp_path)


def test_compressed_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="compressed"):
        load_bytes(novasr_checkpoint(compression=zipfile.ZIP_DEFLATED), tmp_path)


def test_zip_bomb_is_refused_before_it_unpacks(tmp_path):
    """Many zeros in a small zip, and one whose members all claim the same bytes."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(1 << 27))
    with pytest.raises(WeightsError, match="compressed"):
        load_bytes(bomb.getvalue(), tmp_path)
    data = bytearray(novasr_checkpoint())
    for at in (i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"):
        data[at + 20 : at + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    with pytest.raises(WeightsError, match=r"claims more|not a complete"):
        load_bytes(bytes(data), tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 2, 4, 100, 0.5, 0.9, 0.9999])
def test_truncated_checkpoint(keep, tmp_path):
    data = novasr_checkpoint()
    data = data[: keep if isinstance(keep, int) else int(len(data) * keep)]
    with pytest.raises(WeightsError, match=r"empty|not a complete|neither"):
        load_bytes(data, tmp_path)


def test_too_large_a_file(tmp_path):
    with pytest.raises(WeightsError, match="must have at most"):
        load_bytes(bytes(1 << 23), tmp_path)
    huge = wrong("dec.more", tensor("0", (1 << 10, 1 << 12)))
    with pytest.raises(WeightsError, match="tensors must have at most"):
        load_bytes(novasr_checkpoint(huge), tmp_path)


@hypothesis.settings(max_examples=300)
@hypothesis.given(data=st.data())
def test_damaged_bytes_load_or_raise_weights_error(data, tmp_path_factory):
    """Whatever bytes are changed, nothing but WeightsError comes out, and no bad weights."""
    whole = bytearray(novasr_checkpoint())
    pickled = whole.find(b"model/data.pkl")
    for _ in range(data.draw(st.integers(1, 4))):
        low = data.draw(st.sampled_from([0, pickled]))
        at = data.draw(st.integers(low, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    # The checksum of each member is renewed, so that damage reaches the reader behind it.
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(whole))) as archive:
            for info in archive.infolist():
                info_crc = zipfile.crc32(bytes(whole[_data_at(whole, info) :][: info.file_size]))
                _patch_crc(whole, info, info_crc)
    except Exception:
        pass
    path = tmp_path_factory.mktemp("damaged") / "model.bin"
    path.write_bytes(bytes(whole))
    try:
        loaded = load_weights(path).params
    except WeightsError:
        return
    assert all(np.isfinite(value).all() for _, value in flat(loaded))


def _data_at(whole, info):
    name, extra = struct.unpack_from("<HH", whole, info.header_offset + 26)
    return info.header_offset + 30 + name + extra


def _patch_crc(whole, info, crc):
    struct.pack_into("<I", whole, info.header_offset + 14, crc)
    at = whole.find(b"PK\x01\x02")
    while at >= 0:
        if struct.unpack_from("<I", whole, at + 42)[0] == info.header_offset:
            struct.pack_into("<I", whole, at + 16, crc)
        at = whole.find(b"PK\x01\x02", at + 1)


def test_safetensors_round_trip(params, tmp_path):
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (a, b):
        save_weights(params, path, provenance="here", licence="none")
    assert_same(load_weights(a).params, params)
    assert file_sha256(a) == file_sha256(b)
    _, tensors, metadata = read_weights(a)
    assert metadata == {"model": "NovaSR", "provenance": "here", "licence": "none"}
    assert {t.dtype for t in tensors.values()} == {np.dtype(np.float16)}
    assert list(tmp_path.glob("*")) == [a, b] or list(tmp_path.glob("*")) == [b, a]


def test_float32_weights_are_not_rounded_unless_asked(params, tmp_path):
    fine = {**params, "conv_post": {"weight": params["conv_post"]["weight"] + np.float32(1e-6)}}
    path = tmp_path / "fine.safetensors"
    save_weights(fine, path, provenance="", licence="")
    assert_same(load_weights(path).params, fine)
    save_weights(fine, path, provenance="", licence="", dtype=np.float16)
    assert read_weights(path)[1]["conv_post.weight"].dtype == np.float16


def test_int8_by_its_definition():
    """Matrices by channel, to the nearest of 255 levels; channels of zeros; the rest left out."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 8, 8)).astype(np.float32) * [[[0.01]], [[1]], [[30]], [[1]], [[1]]]
    w[3] = 0
    tensors = {"m": w.astype(np.float32), "taps": w[:, 0], "bias": w[:, 0, 0]}
    stored = quantise(tensors)
    assert {n: (v.dtype, v.shape) for n, v in stored.items()} == {
        "m": (np.int8, (5, 8, 8)),
        "m_scale": (np.float32, (5,)),
    }
    got = dequantise(tensors | stored)
    assert set(got) == set(tensors)
    assert got["m"].dtype == np.float32
    for channel, codes, scale, y in zip(
        tensors["m"], stored["m"], stored["m_scale"], got["m"], strict=True
    ):
        largest = np.abs(channel).max()
        assert scale == largest / np.float32(127)
        assert np.abs(codes).max() == (127 if largest else 0)
        assert np.abs(np.float64(y) - channel).max() <= scale * 0.50001
        np.testing.assert_array_equal(y, np.float32([[c * scale for c in row] for row in codes]))


def test_int8_is_saved_and_loaded(params, tmp_path):
    """As the int8 file says, to the bit; small tensors as they were."""
    path, again = tmp_path / "x.safetensors", tmp_path / "again.safetensors"
    save_weights(params, path, provenance="here", licence="none", dtype=np.int8)
    save_weights(params, again, provenance="here", licence="none", dtype="int8")
    assert file_sha256(path) == file_sha256(again)
    loaded, flat_params = dict(flat(load_weights(path).params)), dict(flat(params))
    assert list(loaded) == list(spec.TENSORS)
    stored = safetensors.numpy.load_file(path)
    codes = {name for name, value in stored.items() if value.dtype == np.int8}
    assert codes == {"conv1.weight", "conv2.weight", "conv_post.weight"}
    for name, value in loaded.items():
        assert value.dtype == np.float32
        if name not in codes:
            np.testing.assert_array_equal(value, flat_params[name], err_msg=name)
        else:
            error = np.abs(value - flat_params[name]).max()
            assert 0 < error <= 0.501 * stored[f"{name}_scale"].max()
    assert path.stat().st_size < 0.6 * 2 * sum(value.size for value in loaded.values())
    wild = {**params["conv1"], "weight": np.full((32, 32, 11), np.nan, np.float32)}
    loose = Weights(load_weights(path).network, {**params, "conv1": wild})
    with pytest.raises(WeightsError, match=r"conv1\.weight must be finite"):
        save_weights(loose, again, provenance="", licence="", dtype=np.int8)


def test_bad_saves_leave_no_file(params, tmp_path):
    path = tmp_path / "x.safetensors"
    large = {**params, "conv_post": {"weight": params["conv_post"]["weight"] + np.float32(1e6)}}
    with pytest.raises(WeightsError, match="infinity"):
        save_weights(large, path, provenance="", licence="", dtype=np.float16)
    with pytest.raises(ValueError, match="int16"):
        save_weights(params, path, provenance="", licence="", dtype=np.int16)
    with pytest.raises(WeightsError, match="missing tensor"):
        save_weights({"conv1": params["conv1"]}, path, provenance="", licence="")
    assert not list(tmp_path.iterdir())


def test_bad_safetensors(params, tmp_path):
    path = tmp_path / "x.safetensors"
    good = dict(flat(params))
    int8 = {"conv1.weight": np.ones((32, 32, 11), np.int8)}

    def scales(values):
        return {"conv1.weight_scale": values}

    for edit, words in (
        ({"conv1.bias": np.zeros(31, np.float32)}, r"\(31,\)"),
        ({"conv1.bias": np.full(32, np.inf, np.float32)}, "infinity"),
        ({"conv1.bias": np.zeros(32, np.int32)}, "int32"),
        ({"more": np.zeros(1, np.float32)}, "tensor more, which NovaSR does not have"),
        (int8, r"conv1.weight_scale of shape \(32,\), got none"),
        (int8 | scales(np.ones(31, np.float32)), r"got float32 \(31,\)"),
        (int8 | scales(np.ones(32, np.int8)), r"got int8 \(32,\)"),
        (int8 | scales(np.full(32, np.inf, np.float32)), "conv1.weight must be finite"),
        (scales(np.ones(32, np.float32)), "conv1.weight_scale, which NovaSR does not have"),
    ):
        safetensors.numpy.save_file(good | edit, path)
        with pytest.raises(WeightsError, match=words):
            load_weights(path)
    path.write_bytes(b"just some text, no weights at all")
    with pytest.raises(WeightsError, match="neither"):
        load_weights(path)


def test_sources(params, weights_file):
    assert_same(load_weights(params).params, params)
    loaded = load_weights(params)
    assert load_weights(loaded) is loaded
    again = pickle.loads(pickle.dumps(loaded))
    assert again.network is loaded.network
    assert_same(again.params, params)
    assert_same(load_weights(str(weights_file)).params, params)
    default, named = flatten(load_weights().params), flatten(load_weights(DEFAULT).params)
    for name, value in default.items():
        np.testing.assert_array_equal(named[name], value)
    with pytest.raises(WeightsError, match="'nonesuch'"):
        load_weights("nonesuch")
    with pytest.raises(TypeError, match="got 5; give a sampling rate by name"):
        load_weights(5)
    with pytest.raises(WeightsError, match="missing tensor"):
        load_weights({"conv1": {}})
    with pytest.raises(WeightsError, match=r"no vae\.pth and no .* in it"):  # as of FlashSR's
        load_weights(weights_file.parent)


def test_a_networks_name_stands_for_its_weights(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, network in (
        ("airband", "airband"),
        ("AIRBAND-live", "airband-live"),
        ("novasr", "NovaSR"),
    ):
        assert load_weights(name).network.name == network
    with pytest.raises(WeightsError, match=r"no flashsr: .* hf download"):
        load_weights("flashsr")
    with pytest.raises(WeightsError, match=r"no SpeechSR: .* its checkpoint"):
        load_weights("SpeechSR")


def test_embedded_weights_are_what_their_sums_say():
    """Half precision throughout, with provenance, and the original's fixed filters."""
    folder = Path(__file__).parents[1] / "weights"
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    embedded = embedded_weights()
    assert DEFAULT in embedded
    assert sums == {f"{name}.safetensors": file_sha256(p) for name, p in embedded.items()}
    card = (folder / "README.md").read_text()
    for name, path in embedded.items():
        _, tensors, metadata = read_weights(path)
        assert {value.dtype for value in tensors.values()} == {np.dtype(np.float16)}
        assert name in card
        assert metadata["licence"]
        assert "python -m novasr_jax.train" in metadata["provenance"]


def test_published_checkpoints_are_known_by_hash():
    for version in (1, 2):
        path = shared(f"upstream/pytorch_model_v{version}.bin")
        assert spec.UPSTREAM_CHECKPOINTS[file_sha256(path)] == f"NovaSR v{version}"
