"""Worker processes, and the one process that computes for all of them."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import random_params, speech

from bench import pipeline
from novasr_np.corpus import device, feeding
from novasr_np.corpus.feeding import Job
from novasr_np.files.convert import Options, convert
from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts
from novasr_np.pipeline.backend import Backend
from novasr_np.pipeline.feed import open_feed
from novasr_np.weights import Weights, load_weights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such processes here")
NOVASR = NETWORKS["NovaSR"]


class Exclusive(Backend):
    """numpy in the place of a device: pieces of several processes, computed in one."""

    exclusive = True

    def open(self, weights, dtype=np.float32):
        runner = super().open(weights, dtype)
        return dataclasses.replace(runner, open_live=None, chunk=3 * runner.block, multiple=5)


class Failing(Exclusive):
    """Refuses a sound that goes beyond 0.9."""

    error = ValueError

    def open(self, weights, dtype=np.float32):
        runner = super().open(weights, dtype)

        def run(pieces):
            if any(np.abs(piece.x).max(initial=0) > 0.9 for piece in pieces):
                raise self.error("too loud")
            runner.run(pieces)

        return dataclasses.replace(runner, run=run)


class XlaError(Exception):
    """Of a module that the processes that are told of it need not have."""


XlaError.__module__ = "nowhere"


class FailingByXla(Failing):
    error = XlaError


class Missing:
    exclusive = True

    def open(self, weights):
        raise ValueError("there is no such device")


class Without:
    """No backend is needed."""

    exclusive = False

    def open(self, weights):
        return None


def convert_pair(runner, pair, progress):
    return convert(*pair, Options(format="wav"), runner, progress)


def lost(item, error):
    return item, error


def job(backend, weights="airband"):
    return Job(convert_pair, lost, backend, load_weights(weights))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sounds(count=8):
    """Files of many lengths and rates, of which some have several channels; (source, target)s."""
    for i in range(count):
        rate, samples = (8000, 16_000, 44_100)[i % 3], (0, 1, 2000, 100_000)[i % 4]
        speech(f"in/{i}.wav", rate, 1 + i % 2, samples)
    return [(f"in/{i}.wav", f"out/{i}.wav") for i in range(count)]


def test_the_same_bytes_as_in_one_process(folder):
    pairs = sounds()
    results = list(feeding.processes(job(Exclusive(1)), pairs, 2))
    assert sorted(result.source for result in results) == [source for source, _ in pairs]
    with Exclusive(1).open(load_weights("airband")) as runner:
        for source, target in pairs:
            result = convert(
                source, "one.wav", Options(if_exists="overwrite"), runner, lambda _: None
            )
            assert result.status == "done", result.error
            assert Path("one.wav").read_bytes() == Path(target).read_bytes(), source


def test_an_error_is_of_one_file_alone(folder):
    """Pieces of several files are computed together, and one of them cannot be."""
    pairs = sounds()
    soundfile.write("in/3.wav", np.full(9000, 0.99), 16_000)
    results = {r.source: r for r in feeding.processes(job(Failing(1)), pairs, 2)}
    errors = {source: result.error for source, result in results.items() if result.error}
    assert errors == {"in/3.wav": "too loud"}
    assert len(results) == len(pairs)


def convert_on_a_small_disk(runner, pair, progress):
    import resource  # noqa: PLC0415 (Windows has none)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    return convert(*pair, Options(format="wav"), runner, progress)


def test_files_that_there_is_no_room_for_fail_alone(folder):
    pairs = sounds(12)
    small = dataclasses.replace(job(Exclusive(1)), work=convert_on_a_small_disk)
    results = list(feeding.processes(small, pairs, 2))
    failed = {result.target for result in results if result.status == "failed"}
    assert failed == {f"out/{i}.wav" for i in (3, 7, 11)}  # the long ones
    assert all("too large" in result.error for result in results if result.target in failed)
    assert {str(path) for path in Path("out").iterdir()} == {target for _, target in pairs} - failed


def own_maps():
    """Bytes of shared memory that this process has."""
    spans = [
        line.split()[0].split("-")
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "memfd:novasr" in line
    ]
    return sum(int(end, 16) - int(begin, 16) for begin, end in spans)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells it")
def test_shared_memory_has_a_bound(monkeypatch):
    """Whatever there is to compute; a piece that does not fit gets as much as it needs."""
    monkeypatch.setattr(device, "SHARED_BYTES", 1 << 19)
    weights = Weights(NOVASR, random_params(0))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 300_000)).astype(np.float32)

    def outputs(run, block):
        feed = open_feed(NOVASR, Facts(16_000, 1), np.float32, block=block)
        run(feed.cut(x, True))
        return feed.mix(True)

    backend = Exclusive(1, block=80_000)
    with device.Device(backend, weights, None) as owner:
        connection = owner.connect()
        runner = device.open_client([connection])
        assert own_maps() == 1 << 19
        with backend.open(weights) as numpy:
            told = {"run": None, "close": None}
            assert dataclasses.replace(runner, **told) == dataclasses.replace(numpy, **told)
            for block in (4000, 80_000):
                np.testing.assert_array_equal(outputs(runner.run, block), outputs(numpy.run, block))
                largest = 4 * (block + NOVASR.cut.context + 3 * block)
                assert own_maps() <= max(1 << 19, largest + 4096)
    del runner
    connection.close()


def test_what_a_backend_raises_reaches_the_client():
    weights = Weights(NOVASR, random_params(0))
    with device.Device(FailingByXla(1), weights, None) as owner:
        runner = device.open_client([owner.connect()])
        feed = open_feed(NOVASR, Facts(16_000, 1), np.float32)
        pieces = feed.cut(np.ones((1, 9000), np.float32), True)
        with pytest.raises(RuntimeError, match="XlaError: too loud"):
            runner.run(pieces)


def test_what_is_wrong_with_the_device_ends_the_run(folder):
    with pytest.raises(ValueError, match="there is no such device"):
        list(feeding.processes(job(Missing()), sounds(2), 2))
    assert not Path("out").exists()


def kill_first(runner, item, progress):
    """In a worker: end the device's process, then use it."""
    os.kill(item, signal.SIGKILL)
    return convert("in/0.wav", "out/0.wav", Options(), runner, progress)


def test_a_device_that_dies_ends_the_run(folder):
    speech("in/0.wav", samples=100_000)
    whole = Job(kill_first, lost, Exclusive(1), load_weights())
    with (
        feeding.Workers(whole, 1) as run,
        pytest.raises(ChildProcessError, match="ended, with status -9: start again"),
    ):
        list(run.results([run._device._process.pid]))
    assert not list(Path("out").rglob("*"))


def test_processes_that_die_at_their_start_are_not_waited_for(folder):
    """As those of a script do that has no ``if __name__ == "__main__"``."""
    Path("script.py").write_text(
        "from test_feeding import Exclusive, convert_pair, lost\n"
        "from novasr_np import load_weights\n"
        "from novasr_np.corpus import feeding\n"
        "job = feeding.Job(convert_pair, lost, Exclusive(1), load_weights())\n"
        "list(feeding.processes(job, [('a.wav', 'b.wav')], 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "ChildProcessError: the device's process ended, with status 1" in done.stderr


def work_or_die(runner, item, progress):
    with open("begun", "a") as file:
        file.write(f"{item}\n")
    if "slow" in item:
        time.sleep(0.5)
    if "bad" in item:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return item, "jax" in sys.modules


@pytest.mark.parametrize(("backend", "jobs"), [(Without(), 3), (Exclusive(1), 1)])
def test_an_item_that_kills_its_process_costs_only_itself(folder, backend, jobs):
    """Also where several are in progress in a process, of which any may have been the one."""
    items = ["slow 1", "bad 1", "slow 2", "bad 2", *map(str, range(8))]
    whole = Job(work_or_die, lost, backend, load_weights())
    results = dict(feeding.processes(whole, items, jobs))
    assert sorted(results) == sorted(items)
    for item, value in results.items():
        if "bad" in item:
            assert value == "its process ended twice, with status -9"
        else:
            assert value is False  # and no worker has imported JAX
    begun = Path("begun").read_text().splitlines()
    assert [begun.count(f"bad {i}") for i in (1, 2)] == [2, 2]


def test_the_main_process_needs_no_jax():
    """That is for the one that owns the device."""
    pytest.importorskip("jax", reason="needs the extra jax")
    code = "import sys, novasr_jax.backend as b; b.Backend(); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def report(runner, item, progress):
    for _ in range(30):
        progress(0.1)
        time.sleep(0.01)
    return item


def test_progress_adds_up():
    told = []
    whole = Job(report, lost, Without(), load_weights())
    list(feeding.processes(whole, range(4), 2, told.append))
    assert sum(told) == pytest.approx(4 * 30 * 0.1)
    assert len(told) < 4 * 10


def stay(runner, item, progress):
    with open("pid", "a") as file:
        file.write(f"{os.getpid()}\n")
    while True:
        progress(0)
        time.sleep(0.01)


def test_an_interrupted_run_ends_its_processes(folder, heeding_ctrl_c):
    def interrupt():
        while not Path("pid").exists() or len(Path("pid").read_text().split()) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(feeding.processes(Job(stay, lost, Without(), load_weights()), "ab", 2))
    for pid in Path("pid").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_whatever_is_killed_nothing_is_lost(folder, seed):
    """A worker, the device's process and the whole run, at random moments."""
    found = pipeline.killed(600, seed)
    assert found == pipeline.Killed(kills=3)
