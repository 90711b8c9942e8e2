"""Inflect-Nano's networks against the original's outputs, with weights drawn from their names."""

import json
import os
from functools import partial

import numpy as np
import pytest
from conftest import check, shared
from material import inflect_originals, write_inflect

from novasr_np.errors import WeightsError
from novasr_np.networks import voices
from novasr_np.networks.inflect import acoustic, fast, load, model, spec, vocoder
from novasr_np.tensors import flatten, nest

MAX_FRAMES = {"small": 220, "full": spec.MAX_FRAMES}
CASES = [("small", "hello"), ("small", "empty"), ("small", "capped")]
CASES += [("full", "short"), ("full", "long")]
# Programs are compiled to be run a few times; emitters of fusions take long over small sums.
QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
INPUTS = ("phone_ids", "tone_ids", "lang_ids", "speaker", "options")


@pytest.fixture(scope="module")
def weights():
    """size -> the two networks' weights."""
    networks = {}
    for size in ("small", "full"):
        first, second = inflect_originals(size)
        table = spec.vocoder_tensors(**{"mels": 16, "channels": 16} if size == "small" else {})
        folded = load.folded(second, table)
        networks[size] = {"acoustic": nest(first), "vocoder": nest(folded)}
    return networks


@pytest.fixture(scope="module")
def golden():
    """(size, case) -> name -> array."""
    found = {}
    for size in ("small", "full"):
        with np.load(shared(f"golden/inflect_nano_{size}.npz")) as file:
            for name in file.files:
                case, _, rest = name.partition(".")
                found.setdefault((size, case), {})[rest] = file[name]
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("size", "case"), CASES)
def test_every_stage_is_the_originals(weights, golden, size, case, dtype):
    want = golden[size, case]
    ids = (want["phone_ids"], want["tone_ids"], want["lang_ids"], int(want["speaker"]))
    prosody = spec.Prosody(*want["options"])
    got = dict(model.stages(weights[size], *ids, prosody, MAX_FRAMES[size], dtype))
    assert set(want) - set(got) <= set(INPUTS)
    for name in set(want) - set(INPUTS):
        most = 1e-4 if dtype is np.float32 else 1e-10 if want[name].dtype == np.float64 else 2e-7
        check(got[name], want[name], most * max(1, np.abs(want[name]).max()), f"{case} {name}")
        assert got[name].dtype in (dtype, np.int64), name


def test_the_original_file_names_no_other_tensors():
    tables = json.loads(shared("golden/inflect_tensors.json").read_text())
    assert {k: tuple(v) for k, v in tables["acoustic"].items()} == spec.acoustic_tensors()
    first, second = inflect_originals("full")
    assert {k: list(v.shape) for k, v in second.items()} == tables["vocoder"]
    assert len(first) == 199


def test_the_draw_is_the_references(golden):
    assert golden["full", "weight_head"]
    for name, head in golden["full", "weight_head"].items():
        first, second = inflect_originals("full")
        np.testing.assert_array_equal((first | second)[name].reshape(-1)[:8], head)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("frames", [1, 2, 7, 40])
def test_the_fast_vocoder_gives_the_same(weights, frames, dtype):
    mel = np.random.default_rng(frames).normal(-4, 2, (80, frames))
    *_, (_, want) = vocoder.stages(weights["full"]["vocoder"], mel)
    p = fast.fold(weights["full"]["vocoder"], dtype)
    check(fast.forward(p, mel.astype(dtype)), want, {np.float64: 1e-12, np.float32: 2e-5}[dtype])


def test_a_frame_depends_on_thirteen_on_either_side(weights):
    p = fast.fold(weights["full"]["vocoder"], np.float64)
    mel = np.random.default_rng(0).normal(-4, 2, (80, 60))
    moved = mel.copy()
    moved[:, 30] += 1
    changed = np.flatnonzero(fast.forward(p, moved) != fast.forward(p, mel)) // spec.HOP
    assert (changed[0], changed[-1]) == (30 - spec.CONTEXT, 30 + spec.CONTEXT)


def test_levels_are_the_originals(golden):
    for case in ("quiet", "dc", "peaky", "silence", "empty"):
        posts = golden["small", "post"]
        check(model.level(posts[f"{case}.x"]), posts[f"{case}.y"], 6e-8, case)


def test_snake_is_the_originals_at_both_clips(golden):
    from novasr_np.layers import snake  # noqa: PLC0415

    want = golden["small", "snake"]
    check(snake(want["x"], vocoder.alpha(want["log_alpha"])), want["y"], 1e-12)


def test_lengths_round_halves_to_even_and_clip_before_the_speed():
    frames = np.array([0.2, 1.5, 2.5, 79.9, 200.0])
    got = acoustic.lengths(np.log1p(frames), 1.0)
    np.testing.assert_array_equal(got, [1, 2, 2, 80, 80])
    np.testing.assert_array_equal(acoustic.lengths(np.log1p(frames), 2.0)[-2:], [160, 160])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn weights in files such as the original's."""
    return write_inflect(tmp_path_factory.mktemp("inflect"))


def test_the_originals_files_load_and_convert(folder, weights, tmp_path, monkeypatch):
    params = load.load(folder)
    for name, value in flatten(weights["full"]).items():
        np.testing.assert_array_equal(flatten(params)[name], value, err_msg=name)
    load.save(params, tmp_path / "inflect.safetensors")
    again = load.load(tmp_path / "inflect.safetensors")
    for name, value in flatten(again).items():
        np.testing.assert_array_equal(value, np.float32(flatten(params)[name]), err_msg=name)
    monkeypatch.setenv("NOVASR_INFLECT", str(folder))
    assert flatten(load.load()).keys() == flatten(params).keys()
    assert load.load(params)["vocoder"].keys() == params["vocoder"].keys()


def test_what_is_no_set_of_weights_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("NOVASR_INFLECT", raising=False)
    with pytest.raises(WeightsError, match=r"inflect_nano_v1_acoustic\.pt and .*hf download"):
        load.load()
    with pytest.raises(WeightsError, match=r"no inflect_nano_v1_acoustic\.pt in"):
        load.load(tmp_path)
    with pytest.raises(WeightsError, match="weights must be a folder"):
        load.load(tmp_path / "nowhere")
    (tmp_path / "inflect_nano_v1_acoustic.pt").write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"acoustic\.pt: not a complete checkpoint"):
        load.load(tmp_path)
    params = load.load(folder)
    broken = {**params, "acoustic": {k: v for k, v in params["acoustic"].items() if k != "phone"}}
    with pytest.raises(WeightsError, match=r"missing tensor phone\.weight"):
        load.load(broken)
    with pytest.raises(WeightsError, match="no vocoder weights"):
        load.load({"acoustic": params["acoustic"]})
    first, second = inflect_originals("full")
    second["ups.0.weight_v"] = second["ups.0.weight_v"][:, :, :8]
    write_inflect(tmp_path, first, second)
    with pytest.raises(WeightsError, match=r"ups\.0\.weight_v must have shape"):
        load.load(tmp_path)


@pytest.mark.parametrize(
    ("speakers", "row"),
    [
        ({"mark": 0}, 0),
        ({"mark": 1}, 1),
        ({"anna": 0, "mark": 1}, 1),
        ({"bob": 1, "anna": 0}, 1),
        ({}, 0),
        (None, 0),
    ],
)
def test_the_voice_is_the_row_that_the_file_names(tmp_path, weights, speakers, row):
    params = load.load(write_inflect(tmp_path, acoustic={"speakers": speakers}))
    load.save(params, tmp_path / "inflect.safetensors")
    ids = np.array([0, 50, 0]), np.array([0, 7, 0]), np.array([0, 2, 0])
    stages = acoustic.stages(weights["full"]["acoustic"], *ids, speaker=row)
    _, want = next(stages)
    for there in (params, load.load(tmp_path / "inflect.safetensors")):
        _, embedded = next(acoustic.stages(there["acoustic"], *ids))
        np.testing.assert_array_equal(embedded, want)


@pytest.mark.parametrize(
    ("part", "entries", "words"),
    [
        (
            "acoustic",
            {"speakers": {"mark": 2}},
            "speakers' mark must be a row of .*, 0 to 1, got 2",
        ),
        ("acoustic", {"speakers": {"anna": -1}}, "speakers' anna must be a row .* got -1"),
        ("acoustic", {"speakers": {"mark": "a"}}, "speakers' mark must be a row .* got 'a'"),
        ("acoustic", {"speakers": [1]}, r"speakers must be a dict, got \[1\]"),
        ("acoustic", {"config": 3}, "config must be a dict, got 3"),
        *(
            ("acoustic", {"config": {field: value}}, words)
            for field, value, words in (
                ("max_frames", 700, "config's max_frames must be 1400, got 700"),
                ("postnet_scale", 0.2, r"config's postnet_scale must be 0\.1, got 0\.2"),
                ("use_frame_pitch", False, "config's use_frame_pitch must be True, got False"),
                ("use_contextual_predictors", True, "use_contextual_predictors must be False"),
                ("depth", 2, "config's depth must be absent, got 2"),
            )
        ),
        ("vocoder", {"config": {"variant": "v3"}}, "variant must be 'snake_v2mid', got 'v3'"),
    ],
)
def test_another_network_than_the_published_is_refused(tmp_path, part, entries, words):
    write_inflect(tmp_path, **{part: entries})
    with pytest.raises(WeightsError, match=rf"_{part}\.pt: .*{words}"):
        load.load(tmp_path)


def test_a_file_without_entries_has_the_published_ones(tmp_path, folder):
    write_inflect(tmp_path, acoustic={"config": None}, vocoder={"config": {}})
    want = flatten(load.load(folder))
    for name, value in flatten(load.load(tmp_path)).items():
        np.testing.assert_array_equal(value, want[name], err_msg=name)


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.slow)])
def test_jax_gives_what_numpy_gives(weights, golden, size):
    """Stage by stage, float32, in batches of two rows padded to more than they need.

    All cases of a size share one program, in which what tells them apart are arguments.
    """
    jax = pytest.importorskip("jax", reason="needs the extra jax")
    from novasr_jax.networks.voices import VOICES  # noqa: PLC0415

    cases = {case: golden[size, case] for of, case in CASES if of == size}
    params = jax.tree.map(lambda value: np.asarray(value, np.float32), weights[size])
    most = MAX_FRAMES[size]
    wide = 5 + max(len(want["phone_ids"]) for want in cases.values())
    room = 9 + max(min(int(want["durations"].sum()), most) for want in cases.values())

    @partial(jax.jit, compiler_options=QUICK)
    def stages(*given):
        return dict(VOICES[load.NAME].stages(*given, most, size=room))

    for case, want in cases.items():
        count = len(want["phone_ids"])
        other = max(1, count // 2)
        ids = tuple(
            np.stack([np.pad(row, (0, wide - len(row))) for row in (x, x[:other])])
            for x in (want[name].astype(np.int32) for name in INPUTS[:3])
        )
        counts = np.array([count, other], np.int32)
        prosody = spec.Prosody(*map(float, want["options"]))
        speaker = int(want["speaker"])
        got = stages(params, ids, counts, speaker, prosody)
        for name in set(want) - set(INPUTS):
            truth = want[name]
            channels_first = name.endswith((".depth", ".point")) or name in ("postnet", "mel")
            if truth.ndim == 2 and (channels_first or name.startswith("vocoder.")):
                truth = truth.T
            y = np.asarray(got[name])[0][: len(truth)]
            check(y, truth, 1e-4 * max(1, np.abs(truth).max()), f"{case} {name}")
        # The padding of the other row changes nothing: it is what it would be alone.
        alone = [x[:other] for x in (want[name].astype(np.int64) for name in INPUTS[:3])]
        in_numpy = dict(model.stages(weights[size], *alone, speaker, prosody, most))
        assert got.keys() == in_numpy.keys()
        truth = in_numpy["wave"]
        check(np.asarray(got["wave"])[1][: len(truth)], truth, 2e-4)


@pytest.mark.slow  # to compile
def test_jax_speaks_batches(weights):
    pytest.importorskip("jax", reason="needs the extra jax")
    from novasr_jax.networks.voices import VOICES  # noqa: PLC0415

    rng = np.random.default_rng(0)
    utterances = [
        (rng.integers(0, 219, n), rng.integers(0, 12, n), np.full(n, 2)) for n in (3, 9, 5)
    ]
    assert VOICES.keys() == voices.VOICES.keys()
    waves = VOICES[load.NAME].speak(weights["small"], utterances)
    for ids, wave in zip(utterances, waves, strict=True):
        *_, (_, truth) = model.stages(weights["small"], *ids)
        check(wave, truth, 2e-4)


# Frames of the published examples, by the lengths of their files.
PUBLISHED = {
    '"Did the timing change?"': 297,
    "Who puts a parking meter": 198,
    "Please say neighborhood, statistics": 519,
    "I said 91, not 306": 337,
    "The inference path": 565,
    "The appointment moved to 1:25": 673,
    "If Logan sounded uneasy": 418,
    "The word aluminum": 372,
}


@pytest.mark.parametrize("begin", PUBLISHED)
def test_published_examples_have_their_lengths(begin):
    if not os.environ.get("NOVASR_INFLECT"):
        pytest.skip("the released weights are not there (set NOVASR_INFLECT)")
    rows = json.loads(shared("golden/inflect_frontend.json").read_text())["rows"]
    (row,) = (row for row in rows if row["text"].startswith(begin))
    ids = (np.array(row[name]) for name in ("phone_ids", "tone_ids", "lang_ids"))
    stages = acoustic.stages(load.load()["acoustic"], *ids)
    durations = next(value for name, value in stages if name == "durations")
    assert durations.sum() == PUBLISHED[begin]
