"""What every test shares: the tolerance table, weights, signals, and what was found outside."""

import hashlib
import importlib.util
import os
import signal
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile

from novasr_np import blas
from novasr_np.cli import main
from novasr_np.conformance import trial
from novasr_np.conformance.cases import Case
from novasr_np.native import binding, build
from novasr_np.networks import NETWORKS, Network
from novasr_np.tensors import nest
from novasr_np.weights import load_weights, save_weights

# Workers and commands inherit this; BLAS's threads that wait take turns from those that work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before JAX is loaded. Most programs are compiled here to be run once: the compiler is to try hard
# in CI's `make test` alone. With several workers on the same cores, one thread for each.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", str(int("CI" not in os.environ)))
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )

hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("suite")

# Max-abs error of an output against float64 truth: (input within [-1, 1], louder input).
TOLERANCE = {np.float64: (1e-11, 1e-11), np.float32: (2e-6, 1e-5)}

# Likewise in JAX, float32 in "highest" precision, on a CPU.
JAX_TOLERANCE = (5e-6, 2e-5)

SHARED = Path(os.environ.get("NOVASR_SHARED") or Path(__file__).parents[2] / "shared")


def pytest_configure(config):
    """What JAX compiles is kept beside pytest's own cache, for the next run."""
    config.begun = time.monotonic()
    if config.pluginmanager.has_plugin("cacheprovider"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
        # A run that was killed may have left half a program: it is compiled once more.
        config.addinivalue_line("filterwarnings", "ignore:Error (read|writ)ing persistent")


def _last_run(config) -> str | None:
    """The cache's key for the seconds that the suite took, with this choice of its marks."""
    is_whole = config.args_source == config.ArgsSource.TESTPATHS and not config.option.keyword
    is_kept = config.pluginmanager.has_plugin("cacheprovider") and not config.option.collectonly
    return f"seconds/{config.option.markexpr or 'all'}" if is_whole and is_kept else None


def pytest_sessionfinish(session, exitstatus):
    key = _last_run(session.config)
    if key and exitstatus == pytest.ExitCode.OK and not hasattr(session.config, "workerinput"):
        session.config.cache.set(key, round(time.monotonic() - session.config.begun))


def pytest_collection_modifyitems(config, items):
    """Tests in a browser run with `-m browser` alone."""
    if "browser" not in config.getoption("-m"):
        of_browser = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=of_browser)
        items[:] = [item for item in items if not item.get_closest_marker("browser")]


def pytest_report_header(config):
    found = "found" if SHARED.is_dir() else "absent: tests against the original are skipped"
    key = _last_run(config)
    seconds = config.cache.get(key, None) if key else None
    return [
        *([f"the last such run took {seconds // 60}:{seconds % 60:02} min"] if seconds else ()),
        "no jax: its tests are skipped" if importlib.util.find_spec("jax") is None else _jax(),
        f"numpy {np.__version__}, soundfile {soundfile.__version__} "
        f"({soundfile.__libsndfile_version__}); {_blas()}",
        f"original's checkpoints, golden files and speech (NOVASR_SHARED): {found}",
    ]


def _blas() -> str:
    """Where the slowness of a shared machine would come from."""
    library = blas.library()
    if library is None:
        return "a BLAS that is not held to one thread"
    get, _ = library
    return f"OpenBLAS on {get()} threads, on one in workers; {os.cpu_count()} cores"


def _jax() -> str:
    import jax  # noqa: PLC0415

    return f"jax {jax.__version__}, {len(jax.devices())} devices of kind {jax.default_backend()}"


def shared(name: str) -> Path:
    """A file or folder of the reference material, or skip the test."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} of the reference material is not there (set NOVASR_SHARED)")
    return path


def check(got, want, tolerance: float, what: str = "") -> None:
    """Assert max-abs error within tolerance; say the error and the SNR if not."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if not want.size:
        return
    error = np.abs(got - want).max()
    noise = np.sum((got - want) ** 2)
    with np.errstate(divide="ignore"):
        snr = 10 * np.log10(np.sum(want**2) / noise) if noise else np.inf
    assert error <= tolerance, f"{what}: max-abs {error:.2e} > {tolerance:.0e}, SNR {snr:.1f} dB"


def random_params(seed: int, network: Network = NETWORKS["NovaSR"]) -> dict:
    """Weights of the network's shapes, at a scale that keeps outputs off the tanh's rails."""
    rng = np.random.default_rng(seed)
    flat = {}
    for name, shape in network.weights.tensors.items():
        leaf = name.split(".")[-1]
        if leaf == "filter":
            value = rng.normal(1 / 12, 0.05, 12)
        elif leaf == "weight":
            value = rng.normal(0, 0.7 / np.sqrt(np.prod(shape[1:])), shape)
        else:
            value = rng.normal(0, 0.3, shape)
        flat[name] = value.astype(np.float16).astype(np.float32)
    return nest(flat)


@pytest.fixture(scope="session")
def params() -> dict:
    return random_params(0)


@pytest.fixture(scope="session")
def weights_file(params, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(params, path, provenance="seeded random numbers", licence="none")
    return path


@pytest.fixture(scope="session", params=[1, 2], ids=["v1", "v2"])
def upstream(request) -> tuple[int, dict]:
    """(version, params) of the original's published checkpoints."""
    path = shared(f"upstream/pytorch_model_v{request.param}.bin")
    return request.param, load_weights(path).params


def once(function):
    """The function, computed once for equal arguments: arrays and trees of them, or one object.

    Arrays that it gives are read-only; arguments are kept, so that no object takes another's place.
    """
    made = {}

    def key(value):
        if isinstance(value, dict):
            return tuple((name, key(part)) for name, part in value.items())
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).digest()
        if isinstance(value, Case):
            return key(value.x), value.rate, value.edge
        return value if isinstance(value, int | float | str | None) else id(value)

    def remembered(*arguments, **options):
        place = (*map(key, arguments), *((name, key(value)) for name, value in options.items()))
        if place not in made:
            result = function(*arguments, **options)
            if isinstance(result, np.ndarray):
                result.flags.writeable = False
            made[place] = result, arguments, options
        return made[place][0]

    return remembered


@pytest.fixture(scope="module")
def truths_once():
    """`verify` computes the truth and each known fault's output once for an input, not each time.

    A module's tests grade many ports with the same weights on the same inputs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_truth", once(trial._truth))
        for network in NETWORKS.values():
            faults = network.ports.faults if network.ports else {}
            for name, fault in faults.items():
                patch.setitem(faults, name, fault._replace(forward=once(fault.forward)))
        yield


@pytest.fixture
def x64():
    """JAX with 64-bit numbers."""
    import jax  # noqa: PLC0415

    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def speech_like(samples: int, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """A buzz with moving formants and pauses, float32, peak about 0.5."""
    t = np.arange(samples) / rate
    rng = np.random.default_rng(seed)
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / rate
    x = sum(np.sin(k * pitch) / k for k in range(1, 30) if 150 * k < rate / 2)
    x = x * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)) + 0.01 * rng.normal(size=samples)
    return (0.3 * x).astype(np.float32)


@pytest.fixture(scope="session")
def lib(tmp_path_factory):
    """The engine in C as a library, with the functions of engine.h."""
    try:
        build.compiler()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("library") / "libnovasr.so"
    build.library(path)
    return binding.library(path)


@pytest.fixture
def heeding_ctrl_c():
    """Shells have their background jobs ignore SIGINT, and their children would, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def runner(capfd, *first):
    """Runs `novasr` with arguments after `first`; gives (status, stdout, stderr)."""

    def run(*arguments):
        capfd.readouterr()
        try:
            status = main([*first, *(str(a) for a in arguments)])
        except SystemExit as exit:
            status = exit.code
        return (status, *capfd.readouterr())

    return run


def speech(name, rate=16_000, channels=1, samples=4000, **options):
    """A file of `speech_like` channels, in folders that are made for it; gives its name."""
    x = np.stack([speech_like(samples, rate, seed) for seed in range(channels)], axis=-1)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(name, x, rate, **options)
    return name
