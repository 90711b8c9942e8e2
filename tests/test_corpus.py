"""Corpus jobs as a user runs them: stopped, started again, with bad files and bad luck."""

import csv
import dataclasses
import errno
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import runner, speech, speech_like

from novasr_np import load_weights
from novasr_np.cli import main
from novasr_np.corpus import feeding, ledger, manifest, plan, worker
from novasr_np.corpus.plan import Task, make_plan
from novasr_np.corpus.worker import job_of, run_rows
from novasr_np.files.convert import Options
from novasr_np.pipeline.backend import Backend

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file locks are different here")
COMMAND = (sys.executable, "-m", "novasr_np.cli", "corpus")


@pytest.fixture
def cli(weights_file, tmp_path, monkeypatch, capfd):
    """Run `novasr corpus` in an empty folder; gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    return runner(capfd, "corpus")


def rows(folder="out"):
    lines = Path(folder, "results.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def stamps(folder="out"):
    """What would change if a target were written again."""
    return {
        str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in Path(folder).rglob("*")
        if p.is_file() and ".novasr" not in p.parts and not p.name.startswith("results")
    }


def unfinished(folder="out"):
    return [p for p in Path(folder, ".novasr").rglob("*") if p.name != "lock"]


def mixed(count=12):
    """A folder of different files, some bad; gives the number of good ones."""
    kinds = [("wav", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS"), ("wav", "FLOAT")]
    for i in range(count):
        suffix, subtype = kinds[i % len(kinds)]
        rate, samples = (8000, 16_000, 44_100)[i % 3], (0, 1, 2000, 20_000)[i % 4]
        speech(f"in/{i % 3}/{i}.{suffix}", rate, 1 + i % 2, samples, subtype=subtype)
    Path("in/text.wav").write_text("no audio")
    Path("in/empty.flac").touch()
    Path("in/away.wav").symlink_to("nowhere")
    soundfile.write("in/nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    whole = Path("in/0/3.wav").read_bytes()
    Path("in/cut.wav").write_bytes(whole[: len(whole) // 2])
    return count


def test_same_bytes_as_the_single_command_and_a_row_for_each(cli):
    good = mixed()
    status, out, err = cli("in", "out", "--format", "wav", "--jobs", "2")
    assert (status, out) == (1, "")
    for name in ("text", "empty", "away", "nan", "cut"):
        assert f"/{name}." in err
    assert f"{good} done, 0 before" in err
    assert "5 failed" in err
    got = rows()
    assert len(got) == good + 5
    assert [row["status"] for row in got.values()].count("done") == good
    for row in got.values():
        assert set(row) == set(ledger.COLUMNS)
        if row["status"] == "failed":
            assert row["error"]
            assert not Path("out", row["target"]).exists()
            continue
        assert main(["upsample", row["source"], "-o", "one.wav", "--if-exists", "overwrite"]) == 0
        assert Path("one.wav").read_bytes() == Path("out", row["target"]).read_bytes(), row["id"]
    info = soundfile.info("in/1/7.wav")
    row = got["1/7.wav"]
    assert (row["sample_rate"], row["channels"]) == (info.samplerate, info.channels)
    assert row["audio_seconds"] == 3 * -(-info.frames * 16_000 // info.samplerate) / 48_000
    y, _ = soundfile.read("out/1/7.wav")
    assert abs(row["peak"] - np.abs(y).max()) < 1e-4
    assert not unfinished()


def test_only_what_is_missing_or_changed_is_done_again(cli):
    for name in "abcdef":
        speech(f"in/{name}.wav")
    Path("in/bad.wav").write_text("no audio")
    assert cli("in", "out")[0] == 1
    before = stamps()
    status, out, _ = cli("in", "out", "--json")
    assert (status, stamps()) == (1, before)
    summary = json.loads(out)
    assert [summary[k] for k in ("done", "done_before", "failed", "failed_before", "left")] == [
        *(0, 6, 0, 1, 0)
    ]

    cli(os.path.abspath("in"), "out")
    assert stamps() == before

    os.remove("out/a.flac")
    Path("out/b.flac").write_bytes(Path("out/b.flac").read_bytes()[:-1])
    speech("in/c.wav", samples=5000)
    status, _, err = cli("in", "out", "--retry-failed")
    assert status == 1
    assert "3 done, 3 before" in err
    assert "1 failed" in err
    after = stamps()
    assert {name for name in after if after[name] != before.get(name)} == {
        *("a.flac", "b.flac", "c.flac")
    }

    speech("in/bad.wav")
    assert cli("in", "out")[0] == 0
    assert "7 done, 0 before" in cli("in", "out", "--keep-lowband", "off")[2]
    assert "0 done, 7 before" in cli("in", "out", "--keep-lowband", "off")[2]
    assert "7 done, 0 before" in cli("in", "out", "--keep-lowband", "off", "--no-resume")[2]


def test_dry_run_and_limit(cli):
    for name in "abc":
        speech(f"in/{name}.wav")
    status, out, err = cli("in", "out", "--dry-run")
    assert (status, len(out.splitlines())) == (0, 3)
    assert "3 to do" in err
    assert not os.path.exists("out")
    assert cli("in", "out", "--limit", "2")[0] == 0
    assert len(stamps()) == 2
    assert "1 done, 2 before" in cli("in", "out", "--limit", "2")[2]


def test_a_dry_run_tells_what_would_be_refused(cli):
    speech("in/a.wav")
    Path("out").mkdir()
    Path("out/a.flac").write_text("mine")
    status, out, err = cli("in", "out", "--dry-run")
    assert (status, out) == (1, "")
    assert "a.flac exists" in err
    assert "0 to do, 0 done, 0 failed before, 1 refused" in err
    summary = json.loads(cli("in", "out", "--dry-run", "--json")[1])
    assert (summary["failed"], summary["left"]) == (1, 0)


def test_a_file_that_is_no_output_of_ours_is_spared(cli):
    speech("in/a.wav")
    Path("out").mkdir()
    Path("out/a.flac").write_text("mine")
    for _ in range(2):  # the row of the first time does not make it ours
        status, _, err = cli("in", "out")
        assert status == 1
        assert "was not made by a corpus job" in err
        assert Path("out/a.flac").read_text() == "mine"
    os.remove("out/a.flac")
    assert cli("in", "out")[0] == 0


def test_two_sources_of_one_target(cli):
    speech("in/a.wav")
    speech("in/a.flac")
    status, _, err = cli("in", "out")
    assert status == 1
    assert "is already the target of a.flac" in err
    assert rows()["a.flac"]["status"] == "done"


def test_a_target_keeps_its_owner(cli):
    """That another source would like to be there does not make a file anybody else's."""
    speech("in/b.wav")
    assert cli("in", "out")[0] == 0
    before = stamps()
    speech("in/b.flac")
    for _ in range(2):
        status, _, err = cli("in", "out")
        assert status == 1
        assert "in/b.flac: b.flac is already the target of b.wav" in err
        assert (stamps(), rows()["b.wav"]["status"]) == (before, "done")
    os.remove("in/b.flac")
    assert "0 done, 1 before" in cli("in", "out")[2]


def test_formats_side_by_side(cli):
    speech("in/a.ogg")
    for format in ("flac", "wav"):
        assert "1 done, 0 before" in cli("in", "out", "--format", format)[2]
    for format in ("flac", "wav"):
        assert "0 done, 1 before" in cli("in", "out", "--format", format)[2]


def test_sources_are_not_replaced(cli):
    speech("a/a.wav")
    Path("a/list.csv").write_text("source\na.wav\n")
    source = Path("a/a.wav").read_bytes()
    assert cli("a/list.csv", "a")[0] == 0
    status, _, err = cli("a/list.csv", "a", "--format", "wav")
    assert status == 1
    assert "a.wav would replace a source" in err
    assert Path("a/a.wav").read_bytes() == source


def test_what_failed_before_owns_nothing(cli):
    Path("in").mkdir()
    Path("in/a.wav").write_text("no audio")
    assert cli("in", "out")[0] == 1
    Path("out/a.flac").write_text("mine")
    speech("in/a.wav")
    assert cli("in", "out")[0] == 1
    assert Path("out/a.flac").read_text() == "mine"


def test_another_target_owns_nothing(cli):
    speech("a.wav")
    Path("list.csv").write_text("id,source,target\n1,a.wav,x.flac\n")
    assert cli("list.csv", "out")[0] == 0
    Path("out/mine.flac").write_text("mine")
    Path("list.csv").write_text("id,source,target\n1,a.wav,mine.flac\n")
    assert cli("list.csv", "out")[0] == 1
    assert Path("out/mine.flac").read_text() == "mine"


def test_a_source_that_broke_is_done_again_when_it_is_whole(cli):
    """What was made before it broke is the job's own still, and may be replaced."""
    speech("in/a.wav")
    assert cli("in", "out")[0] == 0
    Path("in/a.wav").write_text("no audio")
    assert cli("in", "out")[0] == 1
    speech("in/a.wav", samples=5000)
    assert cli("in", "out")[0] == 0
    assert soundfile.info("out/a.flac").frames == 15_000


def test_a_run_killed_between_a_file_and_its_row(cli):
    """The row says begun, and the file is there, by options that nobody knows."""
    speech("in/a.wav")
    assert cli("in", "out", "--format", "wav")[0] == 0
    row = rows()["a.wav"]
    Path("out/a.wav").write_bytes(bytes(row["target_bytes"]))
    other = row | {"status": "begun", "target_bytes": None, "options": "others"}
    with open("out/results.jsonl", "a") as file:
        file.write(json.dumps(other) + "\n")
    assert "1 done, 0 before" in cli("in", "out", "--format", "wav")[2]
    times = {name: 0 for name in row if name.endswith("_seconds")}
    assert rows()["a.wav"] | times == row | times


def test_where_the_time_goes_is_told_and_logged(cli):
    speech("in/a.wav", samples=200_000)
    code, out, _ = cli("in", "out", "--json")
    assert code == 0
    row, summary = rows()["a.wav"], json.loads(out)
    parts = {name: row[name] for name in ("read_seconds", "compute_seconds", "write_seconds")}
    assert min(parts.values()) > 0
    assert sum(parts.values()) <= row["work_seconds"]
    assert summary | parts == summary
    words = "(reading|computing|writing)"
    assert re.search(rf", 0 failed; \d+% of the work is {words}$", cli("in", "b")[2].strip())


def test_odd_file_names(cli):
    for name in (b"caf\xe9.wav", "日本.wav".encode(), b"a\nb.wav"):
        speech("in/x.wav")
        os.rename(b"in/x.wav", b"in/" + name)
    for _ in range(2):
        assert cli("in", "out")[0] == 0
    assert len(rows()) == len(stamps()) == 3
    assert cli("in", "out", "--dry-run", "--no-resume")[0] == 0


def test_results_that_are_damaged_count_as_lost(cli):
    speech("in/a.wav")
    speech("in/b.wav")
    assert cli("in", "out")[0] == 0
    lines = Path("out/results.jsonl").read_text().splitlines()
    for text in ("{}", "5", "null", '{"id": "a.wav"}', "[" * 100_000, "\0", ""):
        Path("out/results.jsonl").write_text(f"{lines[0]}\n{text}\n")
        status, _, err = cli("in", "out")
        assert status == 1, text
        assert "b.flac exists, but was not made by a corpus job" in err, text
    os.remove("out/b.flac")
    assert "1 done, 1 before" in cli("in", "out")[2]


def test_links_to_folders(cli):
    speech("far/a.wav")
    speech("in/b.wav")
    os.symlink("../far", "in/link")
    os.symlink("../in", "far/back")
    os.symlink("self", "in/self")
    assert cli("in", "out")[0] == 0
    assert set(rows()) == {"b.wav", "link/a.wav"}


@pytest.mark.parametrize("suffix", manifest.LISTS)
def test_manifests(cli, suffix):
    speech("data/a.wav")
    speech("elsewhere/b.wav")
    entries = [
        {"id": "first", "source": "a.wav", "target": "x/y.flac"},
        {"id": "second", "source": os.path.abspath("elsewhere/b.wav"), "target": "b.flac"},
        {"id": "", "source": "gone.wav", "target": None},
    ]
    path = f"data/list{suffix}"
    if suffix == ".csv":
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "source", "target"])
            writer.writeheader()
            writer.writerows(entries)
    elif suffix == ".jsonl":
        Path(path).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    else:
        arrow = pytest.importorskip("pyarrow", reason="needs the extra corpus")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(entries), path)
    status, _, err = cli(path, "out")
    assert status == 1
    assert "gone.wav" in err
    assert set(stamps()) == {"x/y.flac", "b.flac"}
    assert rows()["first"]["target"] == "x/y.flac"
    assert rows()["gone.wav"]["status"] == "failed"
    if importlib.util.find_spec("pyarrow"):
        from pyarrow import parquet  # noqa: PLC0415

        table = parquet.read_table("out/results.parquet")
        assert table.column_names == list(ledger.COLUMNS)
        assert table.to_pylist() == list(rows().values())


@pytest.mark.parametrize("suffix", manifest.LISTS)
def test_a_long_manifest_costs_what_is_to_be_done(cli, weights_file, monkeypatch, suffix):
    """Files are asked for those rows alone, and of the others no text is kept."""
    count, limit = 20_000, 3
    names = [f"clips/{i % 100}/recording number {i}.wav" for i in range(count)]
    path = Path(f"list{suffix}")
    if suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow", reason="needs the extra corpus")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"source": names}), path)
    elif suffix == ".csv":
        path.write_text("\n".join(["source", *names]))
    else:
        path.write_text("\n".join(json.dumps({"source": name}) for name in names))
    asked = []
    for name in ("stat", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, real=real, **k: (asked.append(a), real(*a, **k))[1]
        )
    tracemalloc.start()
    found = make_plan(
        manifest.read_rows(str(path), "flac"), {}, task(weights_file, None), limit=limit
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.source for row in found.left] == names[:limit]
    assert found.n_left == count
    assert len(asked) < 10 * limit
    assert peak < 150 * count


@pytest.mark.parametrize("alike", [False, True])
def test_rows_of_equal_hashes_are_told_apart(cli, weights_file, monkeypatch, alike):
    if alike:
        monkeypatch.setattr(plan, "hash", lambda _: 0, raising=False)
    Path("list.csv").write_text(
        "id,source,target\n1,a.wav,x.flac\n2,b.wav,x.flac\n3,c.wav,c.flac\n4,out/d.flac,d.flac\n"
    )
    found = make_plan(manifest.read_rows("list.csv", "flac"), {}, task(weights_file, None))
    assert [row.id for row in found.left] == ["1", "3"]
    assert [result["error"] for result in found.refused] == [
        "x.flac is already the target of 1",
        "d.flac would replace a source",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("{", "must be JSON"),
        ("[1]", "must be an object"),
        ('{"id": "a"}', "must have a source"),
        ('{"source": ["a"]}', "source must be text"),
        ('{"source": "a.wav"}\n{"source": "a.wav"}', "ids must be unique"),
        ('{"source": "a.wav", "target": "../a.flac"}', "must be below"),
        ('{"source": "../a.wav"}', "must be below"),
        ('{"source": "/a.wav"}', "needs a target"),
        ('{"source": "a.wav", "target": "a.wav"}', "must be a name for --format flac"),
        ('{"source": "a.wav"}\n{"source": "."}', "row 2: "),
        ('{"source": true}', "source must be text, got True"),
        ('{"source": "a.wav", "target": ".novasr/a.flac"}', "must be a file outside .novasr"),
        ('{"source": "a.wav", "target": "a.flac/"}', "must be a file outside .novasr"),
        ('{"source": "\\ud800.wav"}', "surrogates"),
        ("[" * 100_000, "recursion"),
        ("", "must hold recordings"),
    ],
)
def test_manifests_that_are_wrong(cli, lines, message):
    Path("list.jsonl").write_text(lines)
    status, _, err = cli("list.jsonl", "out")
    assert status == 2
    assert message in err
    assert not os.path.exists("out")


def test_tables_that_are_wrong(cli):
    for text, message in (
        ("a.wav\nb.wav\n", "must have a source"),
        ('source\n"a.wav\nb.wav\n', "unexpected end of data"),
        (f"source\n{'a' * 200_000}.wav\n", "field larger"),
        ("source\n", "must hold recordings"),
    ):
        Path("list.csv").write_text(text)
        status, _, err = cli("list.csv", "out")
        assert status == 2
        assert err.startswith("novasr: list.csv")
        assert message in err
    Path("list.parquet").write_text("no parquet")
    assert "list.parquet" in cli("list.parquet", "out")[2]


def test_targets_of_one_file_spelled_differently(cli):
    speech("a.wav")
    speech("b.wav")
    Path("list.csv").write_text("source,target\na.wav,x.flac\nb.wav,.//x.flac\n")
    status, _, err = cli("list.csv", "out")
    assert status == 1
    assert "x.flac is already the target of a.wav" in err


def test_wrong_usage(cli):
    speech("in/a.wav")
    Path("file").touch()
    Path("none").mkdir()
    Path("spoilt/results.jsonl").mkdir(parents=True)
    for arguments, message in (
        (("nowhere", "out"), "No such file"),
        (("file", "out"), "must be a folder"),
        (("in", "file"), "must be a folder"),
        (("in", "in/out"), "inside"),
        (("in", "in"), "inside"),
        (("in", "out", "--subtype", "FLOAT"), "subtype of flac"),
        (("in", "out", "--gpus", "1"), "needs --engine ray"),
        (("in", "out", "--segment", "9"), "needs --backend jax"),
        (("in", "out", "--jobs", "0"), "whole number"),
        (("nobody://x", "out"), "nobody"),
        (("in", "s3://bucket/x"), "TARGET must be a local or mounted folder"),
        (("in", ""), "TARGET must be a path"),
        (("", "out"), "SOURCE must be a path"),
        (("none", "out"), "must hold recordings"),
        (("in", "spoilt"), "Is a directory: spoilt/results.jsonl"),
        (("in", "out", "--keep-lowband", "nan"), "auto, off or Hz"),
        (("in", "out", "--keep-lowband", "0"), "auto, off or Hz"),
    ):
        status, _, err = cli(*arguments)
        assert status == 2, arguments
        assert message in err, arguments
    status, _, err = cli("in", "/proc/nothing")
    assert status == 1
    assert "/proc/nothing" in err


def test_a_folder_behind_a_uri(cli):
    pytest.importorskip("fsspec", reason="needs the extra corpus")
    speech("in/a/b.wav")
    speech("in/c.ogg")
    Path("in/notes.txt").touch()
    uri = f"file://{os.path.abspath('in')}"
    assert cli("in", "local")[0] == 0
    assert cli(uri, "out")[0] == 0
    assert set(stamps()) == {"a/b.flac", "c.flac"}
    for name in stamps():
        assert Path("out", name).read_bytes() == Path("local", name).read_bytes()
    assert rows()["c.ogg"]["source"] == f"{uri}/c.ogg"
    assert "0 done, 2 before" in cli(uri, "out")[2]
    speech("in/c.ogg", samples=5000)
    assert "1 done, 1 before" in cli(uri, "out")[2]


@pytest.mark.parametrize("name", ["../evil.wav", "a/../../evil.wav", ".novasr/x.wav"])
def test_a_listing_that_leads_out_of_the_target_folder(cli, name):
    """Keys of an object store may be any text."""
    fsspec = pytest.importorskip("fsspec", reason="needs the extra corpus")
    memory = fsspec.filesystem("memory")
    listed = {f"/bucket/{name}": {"name": f"/bucket/{name}", "size": 5, "type": "file"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(memory), "find", lambda *_, **__: listed)
        status, _, err = cli("memory://bucket", "out")
    assert status == 2
    assert "below the target folder, got" in err or "must be a file outside .novasr" in err
    assert not os.path.exists("out")


def many(count, samples=40_000):
    for i in range(count):
        speech(f"in/{i:02}.wav", samples=samples)


def start(*arguments):
    return subprocess.Popen([*COMMAND, "in", "out", *arguments], stderr=subprocess.DEVNULL)


def until(count, process):
    """Wait until so many targets are there."""
    deadline = time.monotonic() + 60
    while len(stamps()) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_and_started_again(cli):
    """SIGKILL at random moments: whole files only, and what was logged is never done again."""
    many(16)
    Path("out").mkdir()
    moments = random.Random(0)
    kept = {}
    for count in (3, 8):
        process = start("--jobs", "2")
        until(count, process)
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.wait()
        for name, stamp in kept.items():
            assert stamps()[name] == stamp
        results = ledger.load_results("out").values()
        logged = [row["target"] for row in results if row["status"] == "done"]
        assert set(logged) <= set(stamps())
        assert len(stamps()) - len(logged) <= 4
        kept = {name: stamps()[name] for name in logged}
    status, _, err = cli("in", "out", "--jobs", "2")
    assert status == 0, err
    assert f"{len(kept)} before" in err
    assert {name: stamps()[name] for name in kept} == kept
    assert {row["status"] for row in rows().values()} == {"done"}
    assert len(rows()) == 16
    assert cli("in", "again")[0] == 0
    for name in stamps():
        assert Path("out", name).read_bytes() == Path("again", name).read_bytes()
    assert not unfinished()


@pytest.mark.slow
def test_workers_left_alone_give_up(cli):
    """Else every kill would leave some at work, for as long as a recording takes."""
    Path("in").mkdir()
    soundfile.write("in/long.wav", np.tile(speech_like(16_000), 600), 16_000)
    process = start("--jobs", "1")

    def parts():
        return list(Path("out").rglob(".*.novasr-part.*"))

    deadline = time.monotonic() + 60
    while not parts():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while parts():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not stamps()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_interrupted(cli, backend, heeding_ctrl_c):
    if backend == "jax":
        pytest.importorskip("jax", reason="needs the extra jax")
    many(6, samples=160_000)
    Path("out").mkdir()
    for sent, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start("--jobs", "2", "--backend", backend, "--no-resume")
        time.sleep(0.3)
        before = stamps()
        while stamps() == before:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        assert process.wait(timeout=60) == expected
        assert not unfinished()
        assert not [row for row in rows().values() if row["status"] == "failed"]
    assert cli("in", "out", "--backend", backend)[0] == 0
    assert len(stamps()) == 6


@pytest.mark.slow
def test_two_runs_at_once(cli):
    many(8)
    Path("out").mkdir()
    both = [start("--jobs", "1"), start("--jobs", "1")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert {row["status"] for row in rows().values()} == {"done"}
    assert len(rows()) == len(stamps()) == 8
    assert not unfinished()
    assert "0 done, 8 before" in cli("in", "out")[2]


# In a worker's process: the samples tell what is to happen.
class Deadly:
    exclusive = False

    def open(self, weights):
        runner = Backend(1).open(weights)

        def run(pieces):
            if any(np.abs(piece.x).max(initial=0) > 0.9 for piece in pieces):
                with open("deaths", "a") as file:
                    file.write(f"{max(piece.start + len(piece.x) for piece in pieces)}\n")
                os.kill(os.getpid(), signal.SIGKILL)
            runner.run(pieces)

        return dataclasses.replace(runner, run=run)


class Full:
    exclusive = False

    def open(self, weights):
        def run(pieces):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return dataclasses.replace(Backend(1).open(weights), run=run)


def task(weights_file, backend):
    Path("staging").mkdir(exist_ok=True)
    weights = load_weights(weights_file)
    return Task("out", "staging", Options(format="wav"), weights, backend, "w", "s")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_kills_its_worker_costs_only_itself(cli, weights_file, jobs):
    for name in "abd":
        speech(f"in/{name}.wav")
    for samples in (1000, 1001):  # one right after the other
        soundfile.write(f"in/c{samples}.wav", np.full(samples, 0.99), 16_000)
    found = list(manifest.read_rows("in", "wav"))
    results = list(feeding.processes(job_of(task(weights_file, Deadly())), found, jobs))
    failed = {result["id"]: result["error"] for result in results if result["status"] == "failed"}
    assert set(failed) == {"c1000.wav", "c1001.wav"}
    assert all("ended twice, with status -9" in error for error in failed.values())
    assert sorted(result["id"] for result in results) == sorted(row.id for row in found)
    # Of pieces, which have NovaSR's two zeros at their end.
    assert sorted(Path("deaths").read_text().split()) == ["1002"] * 2 + ["1003"] * 2


def one_worker(task, rows):
    return feeding.processes(job_of(task), rows, 1)


def test_a_full_disk_ends_the_run_and_spoils_nothing(cli, weights_file):
    """The system's refusal is made up here; `bench.corpus` fills a disk."""
    many(3, samples=2000)
    found = list(manifest.read_rows("in", "wav"))
    with ledger.Ledger("out") as kept:
        numpy = task(weights_file, Backend(1))
        whole = dataclasses.replace(numpy, staging=str(kept.staging))
        run_rows(found[:1], whole, kept, one_worker, lambda _: None)
        refusing = dataclasses.replace(whole, backend=Full())
        with pytest.raises(OSError, match="No space left"):
            run_rows(found[1:], refusing, kept, one_worker, lambda _: None)
    assert set(stamps()) == {"00.wav"}
    assert [row["status"] for row in rows().values()] == ["done", "begun"]
    assert not unfinished()


def staged(weights_file, found, folder="staging"):
    """The task, and what workers return for rows: files without a name."""
    run = dataclasses.replace(task(weights_file, Backend(1)), staging=str(folder))
    opened = run.backend.open(run.weights)
    return run, [worker._work(run, opened, row, lambda seconds: None) for row in found]


def engine(results):
    def giving(task, rows):
        yield from results

    return giving


def test_a_row_is_done_once_its_target_is_on_the_disk_and_has_its_name(
    cli, weights_file, monkeypatch
):
    """As a crash right after any row would leave it."""
    many(8, samples=2000)
    found = list(manifest.read_rows("in", "wav"))
    safe = set()
    monkeypatch.setattr(os, "fsync", lambda number: safe.add(os.fstat(number).st_ino))

    class Watched(ledger.Ledger):
        def add(self, result):
            there = Path("out", result["target"]).stat()
            assert there.st_ino in safe
            assert there.st_size == result["target_bytes"]
            super().add(result)

    shown = []
    with Watched("out") as log:
        run, results = staged(weights_file, found, log.staging)
        assert not stamps()
        run_rows(found, run, log, engine(results), shown.append)
    assert [row["id"] for row in shown] == [row.id for row in found]
    assert {row["status"] for row in rows().values()} == {"done"}
    assert len(rows()) == 8
    assert not unfinished()


def test_files_of_a_group_are_made_safe_at_once(cli, weights_file, monkeypatch):
    many(4, samples=500)
    together = threading.Barrier(4, timeout=20)
    monkeypatch.setattr(os, "fsync", lambda _: together.wait())
    run, results = staged(weights_file, manifest.read_rows("in", "wav"))
    worker.finish(results, run)
    assert [result["status"] for result in results] == ["done"] * 4


def test_a_target_that_cannot_get_its_name_fails_alone(cli, weights_file):
    many(2, samples=500)
    found = list(manifest.read_rows("in", "wav"))
    with ledger.Ledger("out") as log:
        run, results = staged(weights_file, found, log.staging)
        Path("out/00.wav").mkdir()
        run_rows(found, run, log, engine(results), lambda _: None)
    got = rows()
    assert [got[f"{i:02}.wav"]["status"] for i in range(2)] == ["failed", "done"]
    assert "out/00.wav" in got["00.wav"]["error"]
    assert ".novasr" not in got["00.wav"]["error"]
    assert not unfinished()


def test_results_wait_for_the_disk_in_a_bounded_number(cli, weights_file, monkeypatch):
    """A disk slower than the workers holds them up, instead of unfinished files without end."""
    results = [
        plan.new_result(manifest.Row(str(i), "x", "y"), task(weights_file, None), "failed")
        for i in range(300)
    ]
    given = []

    def giving(task, rows):
        for result in results:
            given.append(result)
            yield result

    class Slow(ledger.Ledger):
        behind = 0

        def add(self, result):
            time.sleep(0.001)
            self.behind = max(self.behind, len(given) - int(result["id"]))

    with Slow("out") as log:
        run_rows([], task(weights_file, None), log, giving, lambda _: None)
    assert 0 < log.behind <= 2 * worker._MOST_WAITING + 2


def test_jax_gives_what_the_single_command_gives(cli):
    pytest.importorskip("jax", reason="needs the extra jax")
    mixed(8)
    shutil.rmtree("in/2")
    jax = ("--backend", "jax", "--batch", "8", "--segment", "500", "--format", "wav")
    status, _, err = cli("in", "out", *jax, "--jobs", "3")
    assert status == 1
    assert "5 failed" in err
    for row in rows().values():
        if row["status"] == "done":
            one = ["upsample", row["source"], "-o", "one.wav", "--if-exists", "overwrite", "-q"]
            assert main([*one, *jax]) == 0
            assert Path("one.wav").read_bytes() == Path("out", row["target"]).read_bytes()
    assert "0 done" in cli("in", "out", *jax)[2]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_with_the_way_out(cli, monkeypatch, number):
    def flock(file, _):
        raise OSError(number, os.strerror(number))

    speech("in/a.wav")
    monkeypatch.setattr("fcntl.flock", flock)
    status, _, err = cli("in", "out")
    assert status == 1
    assert err.startswith(
        f"novasr: out: {os.strerror(number)}; a corpus job needs file locks: choose"
    )
    assert "Traceback" not in err


def test_without_file_locks_only_corpus_jobs_are_missing(tmp_path, weights_file):
    speech(tmp_path / "in/a.wav")
    script = (
        "import sys; sys.modules['fcntl'] = None\n"
        "from novasr_np.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def novasr(*arguments):
        return subprocess.run(
            [sys.executable, "-c", script, *arguments, "--weights", weights_file],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert novasr("upsample", "in/a.wav", "-o", "one.wav").returncode == 0
    refused = novasr("corpus", "in", "out")
    assert refused.returncode == 1
    assert "out: a corpus job needs the file locks of Unix" in refused.stderr
    assert "Traceback" not in refused.stderr
