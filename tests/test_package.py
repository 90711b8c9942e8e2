"""What an import costs, who may import whom, and that the wheel is whole."""

import ast
import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile
from conftest import speech_like

from novasr_np.weights import DEFAULT

ROOT = Path(__file__).parents[1]
HEAVY = ("soundfile", "tqdm", "safetensors", "scipy", "soxr", "jax", "torch")

# Module -> the modules of ours that it may import. Data flows one way.
MAY_IMPORT = {
    "errors": set(),
    "spec": set(),
    "files": set(),
    "interrupts": set(),
    "layers": set(),
    "model": {"layers", "spec"},
    "checkpoint": {"errors"},
    "weights": {"checkpoint", "errors", "files", "spec"},
    "polyphase": {"blas"},
    "resample": {"polyphase", "spec"},
    "crossover": {"polyphase", "spec"},
    "fused": {"layers", "spec"},
    "blas": set(),
    "blocks": {"blas", "fused", "model", "spec"},
    "stream": {"blocks", "crossover", "resample", "spec", "weights"},
    "api": {"blocks", "crossover", "resample", "spec", "stream", "weights"},
    "audio": {"errors", "files"},
    "faults": {"layers", "model"},
    "conformance": {"api", "faults", "model", "spec", "weights"},
    "ports": {"audio", "conformance", "spec"},
    "kit": {"__version__", "conformance", "model", "weights"},
    "onnx_export": {"__version__", "files", "model", "spec", "weights"},
    "spectra": {"files"},
    "doctor": {
        *("__version__", "api", "blas", "blocks", "conformance", "model", "spec", "weights"),
    },
    "manifest": {"audio", "files", "ledger"},
    "ledger": {"files"},
    "corpus": {"__version__", "audio", "blocks", "job", "ledger", "manifest"},
    "engines": {"corpus", "interrupts", "ledger", "manifest"},
    "cluster": {"blocks", "corpus", "engines", "ledger", "manifest"},
    "job": {"api", "audio", "errors", "files", "interrupts", "spec", "stream", "weights"},
}
# The same for novasr_jax; of novasr_np it may have data and files, never the network's arithmetic.
JAX_MAY_IMPORT = {
    "layers": set(),
    "model": {"layers", "novasr_np.spec"},
    "fused": {"layers", "novasr_np.spec"},
    "segments": {"fused", "layers", "model", "novasr_np.spec"},
    "together": {"segments"},
    "stablehlo": {"model"},
    "api": {
        "segments",
        *(f"novasr_np.{name}" for name in ("crossover", "resample", "spec", "stream", "weights")),
    },
}
MATHS = {
    "layers",
    "model",
    "polyphase",
    "resample",
    "crossover",
    "fused",
    "blocks",
    "stream",
    "api",
}


def imports(path: Path):
    """(package, names) of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], []
        elif isinstance(node, ast.ImportFrom):
            if node.level and node.module is None:
                yield ".", [alias.name for alias in node.names]
            elif node.level:
                yield ".", [node.module]
            else:
                yield node.module.split(".")[0], []


def test_layers_of_the_package():
    files = {p.stem: p for p in (ROOT / "novasr_np").glob("*.py")}
    assert set(files) - {"__init__", "cli"} == set(MAY_IMPORT)
    for module, allowed in MAY_IMPORT.items():
        found = {n for package, names in imports(files[module]) if package == "." for n in names}
        assert found <= allowed, module
    for module in MATHS:
        outside = {p for p, _ in imports(files[module])} - sys.stdlib_module_names - {"."}
        assert outside <= {"numpy", "soxr"}, module


def test_layers_of_the_jax_package():
    files = {p.stem: p for p in (ROOT / "novasr_jax").glob("*.py")}
    assert set(files) - {"__init__"} == set(JAX_MAY_IMPORT)
    for module, allowed in JAX_MAY_IMPORT.items():
        tree = ast.parse(files[module].read_text())
        found = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in ([node.module] if node.module else [a.name for a in node.names])
            if node.level or name.startswith("novasr_np")
        }
        assert found <= allowed, module
        outside = {p for p, _ in imports(files[module])} - sys.stdlib_module_names
        assert outside <= {".", "jax", "numpy", "novasr_np"}, module


def test_only_the_commands_reach_for_jax():
    for path in (ROOT / "novasr_np").glob("*.py"):
        packages = {package for package, _ in imports(path)}
        assert path.stem == "doctor" or not packages & {"jax", "novasr_jax"}, path


def test_import_brings_numpy_alone():
    code = "import sys, novasr_np; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "numpy" in modules
    assert not modules & set(HEAVY)


def test_wheel_from_its_own_sdist(tmp_path):
    """The wheel, also when built from the sdist, carries the code and the weights folder."""
    if importlib.util.find_spec("build") is None:
        pytest.skip("needs the package build (extra dev)")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "novasr_np/cli/upsample.py",
        "novasr_np/py.typed",
        "novasr_np/weights_data/README.md",
    } <= names
    assert f"novasr_np/weights_data/{DEFAULT}.safetensors" in names
    assert {"novasr_jax/api.py", "novasr_jax/py.typed", "novasr_jax/train/state.py"} <= names
    assert wheel.stat().st_size < 1_000_000


def test_readme_python_runs_as_it_stands(tmp_path):
    """The README's Python, in order, in a folder with a speech.wav."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    if importlib.util.find_spec("jax") is None:
        blocks = [block for block in blocks if "novasr_jax" not in block]
    soundfile.write(tmp_path / "speech.wav", speech_like(4000), 16_000)
    subprocess.run([sys.executable, "-c", "\n".join(blocks)], check=True, cwd=tmp_path)
    assert soundfile.info(tmp_path / "speech_48k.wav").frames == 12_000


def test_readme_names_every_module():
    text = (ROOT / "README.md").read_text()
    for package in ("novasr_np", "novasr_jax"):
        for path in (ROOT / package).glob("[!_]*.py"):
            assert f"`{package}/{path.name}`" in text
