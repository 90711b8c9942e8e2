"""Speed of the numpy network beside its peers, in one run. Run by ``make bench``.

Every case warms up first. `report` makes RESULTS.md from the recorded times and from what each
case notes in `extra_info`: the error against float64 stands beside every time.
"""

import subprocess
import sys
import tempfile
from functools import cache, partial

import numpy as np
import pytest
import soundfile

from bench.data import speech, upstream
from bench.peers import upsamplers
from bench.timing import python
from novasr_np import Stream, forward, load_weights, upsample
from novasr_np.blas import one_thread
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.threads import available_cores
from novasr_np.weights import as_weights

CORES = available_cores()
THREADS = pytest.mark.parametrize("threads", sorted({1, CORES}))
SECONDS = pytest.mark.parametrize("seconds", [10, 60])


@cache
def weights():
    return load_weights(upstream("pytorch_model_v1.bin")).params


@cache
def clip(seconds):
    return speech(seconds)


@cache
def truth(seconds):
    """forward in float64 (in blocks, for memory); the tests hold the two together."""
    with Backend().open(as_weights(weights()), np.float64) as runner:
        return run_bare(runner, clip(seconds)[None].astype(np.float64))[0]


def note(benchmark, seconds, y, **more):
    """The error of an output and the length of its input, for the report.

    But for the last 13 input samples' outputs, which the front door defines its own way.
    """
    want = truth(seconds)[: 3 * (16_000 * seconds - 13)]
    y = np.asarray(y, np.float64)[: len(want)]
    noise = np.sum((y - want) ** 2)
    benchmark.extra_info.update(
        seconds=seconds,
        max_abs=float(np.abs(y - want).max()),
        snr_db=float(10 * np.log10(np.sum(want**2) / noise)),
        **more,
    )


# Name -> (from weights and threads to what is timed, rounds)
PEERS = {
    "novasr_np": (upsamplers.in_numpy, 7),
    "novasr_jax": (upsamplers.in_jax, 7),
    "ONNX Runtime": (
        lambda *given: upsamplers.in_onnxruntime(*given, model=upstream("novasr_v1.onnx")),
        3,
    ),
    "torch mirror": (upsamplers.in_torch, 3),
}


@SECONDS
@THREADS
@pytest.mark.parametrize("name", PEERS)
def test_peers(benchmark, name, seconds, threads):
    if name == "novasr_jax" and threads < CORES:
        pytest.skip("XLA does not share a machine by threads")
    open_, rounds = PEERS[name]
    y = timed(benchmark, open_, clip(seconds), rounds, threads)
    note(benchmark, seconds, y, name=name, threads=threads, group="peers")


def timed(benchmark, open_, x, rounds, threads=CORES, **options):
    """The output of what is timed; a case whose package is not installed is left out."""
    try:
        run = open_(weights(), threads, **options)
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    return benchmark.pedantic(lambda: run(x), rounds=rounds, warmup_rounds=1)


@THREADS
def test_numpy_plain(benchmark, threads):
    """The text to audit, run as it is on the whole clip."""
    if threads > 1:
        pytest.skip("one thread says enough")
    with one_thread():
        y = benchmark.pedantic(lambda: forward(weights(), clip(10)), rounds=3, warmup_rounds=1)
    note(benchmark, 10, y, name="novasr_np, plain layers", threads=threads, group="peers")


ONNX_MODELS = {
    "public": lambda: str(upstream("novasr_v1.onnx")),
    "ours": lambda: upsamplers.exported(weights()),
    "ours, opset 11": lambda: upsamplers.exported(weights(), opset=11),
    "ours, half": lambda: upsamplers.exported(weights(), half=True),
}


@pytest.mark.parametrize("name", ONNX_MODELS)
@pytest.mark.parametrize(("batch", "seconds"), [(1, 1), (1, 10), (4, 5)])
@THREADS
def test_onnx_export(benchmark, threads, batch, seconds, name):
    """Our export beside the original's public model, in ONNX Runtime."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    session = upsamplers.onnx_session(ONNX_MODELS[name](), threads)
    x = clip(batch * seconds).reshape(batch, 1, -1)
    kind = np.float16 if "float16" in session.get_inputs()[0].type else np.float32
    feed = {"input": x.astype(kind)}
    y = benchmark.pedantic(lambda: session.run(None, feed)[0], rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(
        group="onnx",
        clips=f"{batch} of {seconds} s",
        threads=threads,
        name=name,
        max_abs=float(np.abs(y - forward(weights(), np.float64(x))).max()),
    )


@pytest.mark.parametrize("precision", ["highest", "high", "fp16", "bf16"])
def test_jax_precision(benchmark, precision):
    y = timed(benchmark, upsamplers.in_jax, clip(10), 7, precision=precision)
    note(benchmark, 10, y, name=precision, group="precision")


def test_sgemm(benchmark):
    """What the machine gives at best: a large product of matrices, on one thread."""
    a, b = np.random.default_rng(0).normal(size=(2, 2048, 2048)).astype(np.float32)
    with one_thread():
        benchmark.pedantic(lambda: a @ b, rounds=15, warmup_rounds=3)
    benchmark.extra_info.update(group="sgemm", gflop=2 * 2048**3 / 1e9)


@pytest.mark.parametrize("seconds", [10, 60, 600, 3600])
def test_length(benchmark, seconds):
    x = np.resize(clip(60), 16_000 * seconds)
    rounds = max(1, 180 // seconds)
    benchmark.pedantic(
        lambda: upsample(x, weights=weights()), rounds=min(rounds, 7), warmup_rounds=seconds < 600
    )
    benchmark.extra_info.update(group="length", seconds=seconds)


@pytest.mark.parametrize("keep_lowband", [False, True])
@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_rates(benchmark, rate, keep_lowband):
    """Resampling and the crossover, and the network between them."""
    x = np.resize(clip(60), 10 * rate)
    options = {"weights": weights(), "keep_lowband": keep_lowband}
    y = benchmark.pedantic(lambda: upsample(x, rate, **options), rounds=7, warmup_rounds=2)
    truth = upsample(x.astype(np.float64), rate, **options)
    benchmark.extra_info.update(
        group="rates",
        seconds=10,
        rate=rate,
        keep_lowband=keep_lowband,
        max_abs=float(np.abs(y - truth).max()),
    )


@pytest.mark.parametrize("milliseconds", [5, 10, 20, 100])
def test_stream_block(benchmark, milliseconds):
    """The work of one push, one thread; the first pushes are left out."""
    samples = 16 * milliseconds
    stream, x = Stream(weights()), clip(10)
    starts = iter(range(0, 10**9, samples))

    def push():
        start = next(starts) % (len(x) - samples)
        return stream.push(x[start : start + samples])

    benchmark.pedantic(push, rounds=2000, warmup_rounds=50)
    times = 1e3 * np.array(benchmark.stats.stats.data)
    benchmark.extra_info.update(
        group="stream",
        milliseconds=milliseconds,
        median_ms=float(np.median(times)),
        p99_ms=float(np.percentile(times, 99)),
    )


COMMANDS = {
    "novasr upsample": lambda i, o: [
        *("-m", "novasr_np.cli", "upsample", i, "-o", o, "-q", "--if-exists", "overwrite"),
        *("--weights", str(upstream("pytorch_model_v1.bin")), "--keep-lowband", "off"),
    ],
    "ONNX Runtime script": lambda i, o: [
        *("bench/cold.py", "onnx", str(upstream("novasr_v1.onnx")), i, o)
    ],
    "torch script": lambda i, o: [
        *("-m", "bench.cold", "torch", str(upstream("pytorch_model_v1.bin")), i, o)
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_cold_start(benchmark, name):
    """A 10 s file to a 48 kHz file, from the start of the process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = COMMANDS[name](_wav(folder, 10), f"{folder}/out.wav")
        command = [sys.executable, *arguments]
        run = partial(subprocess.run, command, check=True)
        benchmark.pedantic(run, rounds=5, warmup_rounds=1)
        peak = python(*arguments).megabytes
        y, _ = soundfile.read(f"{folder}/out.wav")
    note(benchmark, 10, y, name=name, group="cold", peak_mb=peak)


def test_command_on_an_hour(benchmark):
    with tempfile.TemporaryDirectory() as folder:
        arguments = COMMANDS["novasr upsample"](_wav(folder, 3600), f"{folder}/out.wav")
        ran = benchmark.pedantic(lambda: python(*arguments), rounds=1)
        assert soundfile.info(f"{folder}/out.wav").frames == 3600 * 48_000
    benchmark.extra_info.update(group="hour", seconds=3600, peak_mb=ran.megabytes)


def test_three_hour_stream(benchmark):
    """A second at a time, all cores; what the process holds after ten minutes and at the end."""
    code = (
        "import sys, numpy; from novasr_np import Stream\n"
        "def held(): return next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "stream = Stream(sys.argv[1], threads=None); x = numpy.sin(numpy.arange(16000))\n"
        "for second in range(3 * 3600):\n"
        "    stream.push(x)\n"
        "    if second in (600, 3 * 3600 - 1):\n"
        "        print(int(held().split()[1]) / 1e3)\n"
    )
    command = [sys.executable, "-c", code, str(upstream("pytorch_model_v1.bin"))]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, check=True, capture_output=True, text=True), rounds=1
    )
    after, end = map(float, done.stdout.split())
    benchmark.extra_info.update(group="three hours", after_mb=after, end_mb=end)


def _wav(folder, seconds):
    path = f"{folder}/in.wav"
    soundfile.write(path, np.resize(clip(60), 16_000 * seconds), 16_000, subtype="FLOAT")
    return path
