"""What an import costs, who may import whom, and that the wheel is whole."""

import ast
import importlib.util
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from conftest import speech_like

from novasr_np.weights import DEFAULT

ROOT = Path(__file__).parents[1]
HEAVY = ("soundfile", "tqdm", "safetensors", "scipy", "soxr", "jax", "torch")

# Who may import whom, downwards only: room -> the rooms below it that it may use. A room is a
# folder of the package or a module at its top; a room without an entry here is an error.
GROUND = {
    *("atomic", "blas", "errors", "hashing", "lazy", "memory", "samples", "threads"),
    "version",
}
MAY_IMPORT = {
    **{room: set() for room in GROUND},
    "threads": {"samples"},
    "tensors": {"errors"},
    "layers": {"blas", "errors", "samples", "threads", "version"},
    "fast": {"layers", *GROUND},
    "dsp": {"blas", "errors", "samples"},
    "networks": {"dsp", "fast", "layers", "tensors", *GROUND},
    "weights": {"networks", "tensors", *GROUND},
    "pipeline": {"dsp", "networks", "tensors", "weights", *GROUND},
    "api": {"dsp", "networks", "pipeline", "weights", *GROUND},
    "speech": {"api", "networks", "weights", *GROUND},
    "files": {"pipeline", *GROUND},
    "fastsr": {"dsp", "files", "pipeline", "weights", *GROUND},
    "native": {"weights", *GROUND},
    "web": {"tensors", "weights", *GROUND},
    "plugins": {"api", "dsp", "files", "pipeline", "weights", *GROUND},
    "corpus": {"files", "networks", "pipeline", "weights", *GROUND},
    "conformance": {"api", "files", "networks", "tensors", "weights", *GROUND},
}
MAY_IMPORT["cli"] = {*MAY_IMPORT} - {"fastsr", "plugins"}
# The same for novasr_jax; of novasr_np it may have data and files, never a network's arithmetic.
JAX_MAY_IMPORT = {
    "layers": set(),
    "samples": set(),
    "fast": {"layers"},
    "networks": {"fast", "layers"},
    "compute": {"layers", "networks", "samples"},
    "backend": {"compute"},
    "api": {"backend", "networks"},
    "fastsr": {"backend"},
    "to_stablehlo": {"networks"},
    "train": {"fast", "layers", "networks"},
}
MATHS = {"fast", "layers", "networks", "dsp", "pipeline", "api", "samples", "blas", "threads"}
# Numbers of one network, which nobody else may have as constants of the world.
ITS_NUMBERS = {16_000, 48_000, 11, 13, 39}


def imports(path: Path) -> Iterator[str]:
    """The full name of everything that a file imports, inside functions too."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms(package: str) -> dict[str, list[Path]]:
    """Room -> its files."""
    found: dict[str, list[Path]] = {}
    for path in (ROOT / package).rglob("*.py"):
        room = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        found.setdefault(room, []).append(path)
    return found


@pytest.mark.parametrize(
    ("package", "table"), [("novasr_np", MAY_IMPORT), ("novasr_jax", JAX_MAY_IMPORT)]
)
def test_who_may_import_whom(package, table):
    house = rooms(package)
    assert set(house) - {"__init__", "__main__"} == set(table)
    for room, allowed in table.items():
        for path in house[room]:
            names = [n for n in imports(path) if n.startswith(f"{package}.")]
            used = {name.split(".")[1] for name in names} - {room}
            assert used <= allowed, f"{path}: {used - allowed}"


@pytest.mark.parametrize("package", ["novasr_np", "novasr_jax"])
def test_no_network_imports_another(package):
    for path in (ROOT / package / "networks").glob("*/*.py"):
        others = {
            name.split(".")[2]
            for name in imports(path)
            if name.startswith(f"{package}.networks.") and "record" not in name
        }
        assert others <= {path.parent.name}, path


def test_nobody_outside_the_networks_knows_one_by_its_folder():
    """Whoever needs a network takes it out of a registry."""
    folders = {path.parent.name for path in (ROOT / "novasr_np/networks").glob("*/__init__.py")}
    assert {"novasr", "flashsr", "inflect"} <= folders
    for room, paths in rooms("novasr_np").items():
        for path in paths if room != "networks" else ():
            inside = [n for n in imports(path) if n.startswith("novasr_np.networks.")]
            assert not {name.split(".")[2] for name in inside} & folders, path


def test_jax_takes_data_from_numpy_but_no_arithmetic():
    for path in (ROOT / "novasr_jax").rglob("*.py"):
        if path.name == "data.py":  # of training: what is learnt from comes from numpy
            continue
        for name in imports(path):
            assert not name.startswith("novasr_np.layers"), path
            for folder in (ROOT / "novasr_np/networks").glob("*/"):
                if name.startswith(f"novasr_np.networks.{folder.name}"):
                    assert name.startswith(f"novasr_np.networks.{folder.name}.spec."), path


def test_maths_needs_numpy_alone():
    optional = {"soxr", "onnx", "scipy", "threadpoolctl"}
    for room in MATHS:
        for path in rooms("novasr_np")[room]:
            packages = {name.split(".")[0] for name in imports(path)}
            outside = packages - sys.stdlib_module_names - {"novasr_np"}
            assert outside <= {"numpy"} | optional, path


def test_a_networks_numbers_stand_in_its_folder():
    for room, paths in rooms("novasr_np").items():
        if room in ("networks", "cli", "conformance"):
            continue
        for path in paths:
            # Bands in Hz, and formats' own numbers.
            if path.parent.name == "files" or path.name in ("spectrum.py", "onnx_nodes.py"):
                continue
            constants = {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and type(node.value) is int
            }
            assert not constants & ITS_NUMBERS, f"{path}: {constants & ITS_NUMBERS}"


def test_only_the_commands_and_the_self_test_reach_for_jax():
    for path in (ROOT / "novasr_np").rglob("*.py"):
        packages = {name.split(".")[0] for name in imports(path)}
        if not packages & {"jax", "novasr_jax"}:
            continue
        assert path.parent.name == "cli" or path.name == "self_test.py", path


def test_import_brings_numpy_alone():
    """And even that only with the first function asked for."""
    code = (
        "import sys, novasr_np; assert 'numpy' not in sys.modules;"
        "[getattr(novasr_np, name) for name in dir(novasr_np)];"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
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
    assert wheel.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("page", "count", "holds"),
    [
        ("README.md", 1, 'soundfile.info("speech_48k.wav").frames == 12_000'),
        (
            "novasr_np/README.md",
            2,
            'soundfile.info("speech_48k.ogg").frames == 12_000 and 0 < y.size <= 480',
        ),
        ("novasr_np/networks/novasr/README.md", 1, "y.shape == (1, 3 * 4000 - 4)"),
        ("novasr_jax/README.md", 1, "[y.shape for y in ys] == [(48_000,), (120_000,)]"),
    ],
)
def test_readme_python_runs_as_it_stands(page, count, holds, tmp_path):
    """A page's Python, in order, in a folder with a speech.wav."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert len(blocks) == count
    if page.startswith("novasr_jax") and importlib.util.find_spec("jax") is None:
        pytest.skip("needs the package jax")
    soundfile.write(tmp_path / "speech.wav", speech_like(4000), 16_000)
    code = "\n".join([*blocks, f"assert {holds}"])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


@pytest.mark.parametrize("package", ["novasr_np", "novasr_jax"])
def test_public_functions_say_their_types(package):
    missing = []
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text())
        bodies = [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef))]
        for node in (n for body in bodies for n in body if isinstance(n, ast.FunctionDef)):
            if node.name.startswith("_") and node.name != "__init__":
                continue
            args = [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            names = [a.arg for a in args if a and not a.annotation]
            untyped = set(names) - {"self", "cls"}
            if untyped or node.returns is None:
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {untyped}")
    assert not missing


def test_every_folder_is_in_the_wheel():
    text = (ROOT / "pyproject.toml").read_text()
    for package in ("novasr_np", "novasr_jax"):
        for path in (ROOT / package).rglob("__init__.py"):
            name = ".".join(path.parent.relative_to(ROOT).parts)
            assert f'    "{name}",\n' in text, name
