"""Corpus jobs on Ray: on one node and on two, with actors and a node that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from conftest import speech_like

from novasr_np import load_weights
from novasr_np.corpus.plan import Task
from novasr_np.files.convert import Options
from novasr_np.pipeline.runner import Runner

ray = pytest.importorskip("ray", reason="needs the extra cluster: make test-cluster")
COMMAND = (sys.executable, "-m", "novasr_np.cli", "corpus", "in")


@pytest.fixture
def folder(tmp_path, monkeypatch, weights_file):
    """In it: 40 recordings of 4 s, and a bad one; the right outputs are below `want`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    Path("in").mkdir()
    for i in range(40):
        soundfile.write(f"in/{i:02}.wav", speech_like(64_000, seed=i), 16_000)
    Path("in/bad.wav").write_text("no audio")
    assert subprocess.run([*COMMAND, "want"], check=False).returncode == 1
    return tmp_path


def outputs(folder):
    return {p.name: p.read_bytes() for p in Path(folder).glob("*.flac")}


def check_complete():
    assert outputs("out") == outputs("want")
    results = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    status = {result["id"]: result["status"] for result in results}
    assert status.pop("bad.wav") == "failed"
    assert set(status.values()) == {"done"}
    assert len(status) == 40


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def actors():
    """Processes that run an actor of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def test_actors_killed_twice(folder):
    with subprocess.Popen([*COMMAND, "out", "--engine", "ray", "--jobs", "2"]) as process:
        for count in (2, 15):
            wait_for(lambda count=count: len(outputs("out")) >= count and actors(), process)
            os.kill(actors()[0], signal.SIGKILL)
        assert process.wait(timeout=240) == 1  # for the bad file
    check_complete()


# Ray forks to start nodes, and JAX, where this process has loaded it, minds all forks.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_node_killed(folder):
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        second = cluster.add_node(num_cpus=1)
        address = ("--address", cluster.address)
        done = subprocess.run(
            [*COMMAND, "out", "--engine", "ray", *address, "--jobs", "3"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "must have 3 CPU for 3 workers, and one CPU more" in done.stderr
        with subprocess.Popen([*COMMAND, "out", "--engine", "ray", *address]) as process:
            wait_for(lambda: len(outputs("out")) >= 6 and len(actors()) == 2, process)
            cluster.remove_node(second, allow_graceful=False)
            assert process.wait(timeout=240) == 1  # for the bad file
    finally:
        cluster.shutdown()
    check_complete()


def test_rows_that_no_actor_survives_are_told(folder):
    """In a process of its own: Ray's threads stay behind."""
    code = """
from test_corpus_ray import kill_task
from novasr_np.corpus import manifest, ray
results = list(ray.ray_data(kill_task(), list(manifest.read_rows("in", "flac"))[:4], jobs=1))
assert len(results) == 4
assert all(r["status"] == "failed" and "ended twice" in r["error"] for r in results)
"""
    path = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=240)


def kill_task():
    Path("staging").mkdir()
    return Task("out", "staging", Options(format="flac"), load_weights(), Killing(), "w", "s")


class Killing:
    exclusive = False

    def open(self, weights):
        def run(pieces):
            os.kill(os.getpid(), signal.SIGKILL)

        return Runner(weights.network, None, "f4", run, block=64_000, chunk=64_000)
