"""The conformance kit as a file: what is in it, and that it judges ports without this package."""

import json
import math
import subprocess
import sys
import zipfile

import mutants
import numpy as np
import pytest
from conftest import random_params
from material import PORTS, compiled, needs_gcc, needs_node

from novasr_np import load_weights, save_weights
from novasr_np.cli import main
from novasr_np.conformance import cases, check, kit
from novasr_np.conformance.trial import GRADES
from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts
from novasr_np.tensors import cast
from novasr_np.weights import embedded_weights, weights_path

SLOW = {"novasr-open": pytest.mark.slow}  # a minute by the engine as built here
EMBEDDED = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW.get(name, ())) for name in embedded_weights()]
)
MOST = 2_000_000  # bytes


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    """The kit of each weights as a zip file, by name."""
    folder = tmp_path_factory.mktemp("kits")
    for name in embedded_weights():
        kit.export(folder / f"{name}.zip", name)
    return {name: folder / f"{name}.zip" for name in embedded_weights()}


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return compiled(tmp_path_factory, "native.c", "-O2")


def unpacked(archive, folder, *names):
    """The folder of a kit, with the cases of these names in kit.json."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    index = json.loads((folder / "kit.json").read_text())
    index["cases"] = {name: index["cases"][name] for name in names}
    (folder / "kit.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def small(kits, tmp_path):
    """The kit of airband with a few quick cases and the minute."""
    names = "impulse", "8-kHz-edge-3.725", "length-1-at-48000-Hz", "4240-samples-repeated"
    return unpacked(kits["airband-2"], tmp_path / "small", *names)


def checked(line, *kit, program=None):
    """(exit status, lines of the output, messages) of check.py, without any package."""
    program = program or check.__file__
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, *kit, line],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def engine(native, name, extra=""):
    return f"{native} {weights_path(name)} {{rate}} {{edge}} 1600 {{input}} {{output}}{extra}"


def wrapped(folder, line, edit):
    """The command of a port that spoils what another gives, y, in `edit`."""
    script = folder / "wrong.py"
    script.write_text(
        "import array, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True)\n"
        "y = array.array('f', open(sys.argv[-1], 'rb').read())\n"
        f"{edit}\n"
        "open(sys.argv[-1], 'wb').write(y)\n"
    )
    return f"{sys.executable} -I -S {script} {line}"


def test_the_kit_holds_the_cases_and_the_truth(tmp_path, capsys):
    assert main(["verify", "--export", str(tmp_path / "kit"), "--weights", "novasr-open"]) == 0
    kit = tmp_path / "kit"
    index = json.loads((kit / "kit.json").read_text())
    files = {str(p.relative_to(kit)) for p in kit.rglob("*.npy")}
    assert files == set(index["files"])
    size = sum(p.stat().st_size for p in kit.rglob("*") if p.is_file())
    assert f"{len(files) + 3} files, {size / 1e6:.1f} MB" in capsys.readouterr().err
    for name in files:
        assert np.load(kit / name).dtype == "<f4"
        header = (kit / name).stat().st_size - 4 * math.prod(index["files"][name]["shape"])
        assert header == 128
    x, y = np.load(kit / "cases/noise.x.npy"), np.load(kit / "cases/noise.y.npy")
    params = cast(load_weights("novasr-open").params, np.float64)
    assert np.abs(y - mutants.forward(params, x)).max() <= GRADES["bit-near"]
    padded, zeros = np.load(kit / "cases/noise.padded.npy"), np.zeros(2)
    assert index["cases"]["noise"]["outputs"] == {"y": len(y), "padded": len(padded)}
    want = mutants.forward(params, np.concatenate([x, zeros]))[: 3 * len(x)]
    assert np.abs(padded - want).max() <= GRADES["bit-near"]
    assert np.load(kit / "stages/13-y.npy").shape == (3 * 32 - 4,)
    assert all((c["rate"], c["edge"]) == (16_000, None) for c in index["cases"].values())
    with pytest.raises(SystemExit):
        main(["verify", "--export", str(kit)])


def test_the_kit_of_any_band_says_each_cases_rate_and_edge(tmp_path):
    params = random_params(3, NETWORKS["airband"])
    weights = tmp_path / "w.safetensors"
    save_weights(params, weights, provenance="noise", licence="none")
    kit.export(tmp_path / "kit", str(weights))
    index = json.loads((tmp_path / "kit/kit.json").read_text())
    forward = NETWORKS["airband"].compute.forward

    def port(x, rate, edge):
        return forward(params, x, 0, Facts(rate, 1, edge), rate)

    assert {f"cases/{name}.{end}.npy" for name in index["cases"] for end in "xy"} == {
        name for name in index["files"] if name.startswith("cases/")
    }
    assert all(list(told["outputs"]) == ["y"] for told in index["cases"].values())
    for name, told in index["cases"].items():
        x, y = (np.load(tmp_path / f"kit/cases/{name}.{end}.npy") for end in "xy")
        times = min(told["times"], 9)  # of a minute enough to see whole periods
        want = port(np.tile(np.float64(x), times), told["rate"], told["edge"])
        skip = slice(told["skip"], len(want) - told["skip"])
        assert told["outputs"]["y"] * times == len(want) * told["times"], name
        assert np.abs(np.resize(y, len(want)) - want)[skip].max() <= GRADES["bit-near"], name
        assert len(want[skip]) >= len(y)
    x = np.float64(np.load(tmp_path / "kit/stages/x.npy"))
    (last,) = tmp_path.glob("kit/stages/*-y.npy")
    assert index["stages"]["edge"] < index["stages"]["rate"] / 2
    assert np.abs(np.load(last) - port(x, **index["stages"])).max() <= GRADES["bit-near"]


def test_a_zip_file_is_the_folder_and_the_same_bytes_each_time(kits, tmp_path):
    for target in ("kit", "sub/again.zip"):
        assert main(["verify", "--export", str(tmp_path / target)]) == 0
    data = kits["airband-2"].read_bytes()
    assert (tmp_path / "sub/again.zip").read_bytes() == data
    assert len(data) <= MOST
    with zipfile.ZipFile(kits["airband-2"]) as archive:
        entries, folder = archive.infolist(), tmp_path / "kit"
        assert [e.filename for e in entries[:3]] == ["README.md", "check.py", "kit.json"]
        assert {e.filename for e in entries} == {
            str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()
        }
        for entry in entries:
            assert archive.read(entry) == (folder / entry.filename).read_bytes()
            assert entry.compress_type == zipfile.ZIP_STORED
            assert (entry.date_time, entry.create_system) == ((1980, 1, 1, 0, 0, 0), 3)
    assert {path.name for path in tmp_path.rglob("*.zip")} == {"again.zip"}


@pytest.mark.parametrize("target", ["kit", "kit.zip"])
def test_a_kit_appears_when_it_is_whole(tmp_path, monkeypatch, target):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    monkeypatch.setattr(kit.Path, "write_bytes", fail)
    with pytest.raises(OSError, match="the disk is full"):
        kit.export(tmp_path / target, "novasr-open")
    assert list(tmp_path.iterdir()) == []


def test_a_kit_takes_nothings_place(tmp_path, capsys):
    for name in ("kit.zip", "KIT.ZIP"):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(SystemExit) as ended:
            main(["verify", "--export", str(tmp_path / name)])
        assert ended.value.code == 2
        assert f"{tmp_path / name} exists" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == b"mine"


@EMBEDDED
@needs_gcc
def test_a_right_port_passes_without_this_package(kits, native, name):
    status, lines, _ = checked(engine(native, name), kits[name])
    assert status == 0
    index = json.loads(zipfile.ZipFile(kits[name]).read("kit.json"))
    assert [line.split()[0] for line in lines[:-1]] == list(index["cases"])
    assert lines[-1].startswith("float32: ")


@needs_gcc
def test_the_folder_of_the_program_is_the_kit(small, native):
    status, lines, _ = checked(engine(native, "airband-2"), program=small / "check.py")
    assert (status, len(lines)) == (0, 5)


@needs_gcc
def test_a_port_may_give_all_samples_but_not_cut_to_the_bare_networks(kits, native, tmp_path):
    """The two differ before the bare network's end, too."""
    small = unpacked(kits["novasr-open"], tmp_path / "small", "noise", "length-2", "length-65")
    right = engine(native, "novasr-open")
    assert checked(right, small)[0] == 0
    assert checked(wrapped(tmp_path, right, "y = y[:-4]"), small)[0] == 1


@needs_gcc
@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        ("y[0] += 3e-5", [0, 1, 2]),  # of the minute the first samples are not compared
        ("y = y[:-1]", [0, 1, 2, 3]),
        ("y[-1] = float('nan')", [0, 1, 2, 3]),
        ("if len(y) > 2e6: y[2_000_000] += 3e-5", [3]),
        ("if len(y) == 1: sys.exit('lost my nerve')", [2]),
    ],
    ids=["first sample", "length", "nan", "after 40 s", "fails"],
)
def test_a_wrong_port_fails(small, native, tmp_path, edit, wrong):
    status, lines, _ = checked(wrapped(tmp_path, engine(native, "airband-2"), edit), small)
    assert status == 1
    errors = [float(line.split()[1]) for line in lines[:-1]]
    assert [i for i, error in enumerate(errors) if error > GRADES["float32"]] == wrong
    assert lines[-1].split(":")[0] in ("float16", "wrong")
    assert ("exit status 1: lost my nerve" in "\n".join(lines)) == ("nerve" in edit)


@needs_gcc
def test_a_port_that_does_not_hear_of_the_edge_fails(small, native):
    line = engine(native, "airband-2").replace("{edge}", "0")
    status, lines, _ = checked(line, small)
    assert (status, lines[-1].split(":")[0]) == (1, "wrong")
    assert lines[-1].endswith("in 8-kHz-edge-3.725")


def test_a_damaged_kit_is_refused_before_the_port_runs(kits, small, tmp_path):
    line = f"touch {tmp_path / 'ran'} {{input}} {{output}}"
    file = small / "cases/impulse.y.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    status, lines, said = checked(line, small)
    assert (status, lines) == (2, [])
    assert "is no whole kit: the sha256 of cases/impulse.y.npy must be" in said
    cut = tmp_path / "cut.zip"
    cut.write_bytes(kits["airband-2"].read_bytes()[:-100])
    for path in (cut, tmp_path / "none.zip"):
        status, lines, said = checked(line, path)
        assert (status, lines) == (2, [])
        assert f"{path} is no whole kit: " in said
    index = json.loads((small / "kit.json").read_text())
    (small / "kit.json").write_text(json.dumps(index | {"format": 2}))
    assert "its format must be 1, got 2" in checked(line, small)[2]
    assert not (tmp_path / "ran").exists()
    assert checked("port {input}", small)[0] == 2
    assert kit.FORMAT == check.FORMAT


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("name", ["airband-2", "airband-live-2"])
def test_a_port_written_from_the_page_and_the_kit_is_right(kits, tmp_path, name):
    with zipfile.ZipFile(kits[name]) as archive:
        archive.extractall(tmp_path)
    line = f"node {PORTS / 'airband.mjs'} {tmp_path} {{rate}} {{edge}} {{input}} {{output}}"
    status, lines, _ = checked(line, program=tmp_path / "check.py")
    assert (status, lines[-1].split(":")[0]) == (0, "bit-near")
    rates = ("--rate", "44100", "--rate", "11025", "--rate", "96000")
    assert main(["verify", "--command", line, "--weights", name, "--long", "2", *rates]) == 0


@needs_node
def test_that_port_at_any_rate_and_edge(kits, tmp_path):
    """Rates and edges that have no case, of sounds that are over in a moment."""
    loaded = load_weights("airband-2")
    with zipfile.ZipFile(kits["airband-2"]) as archive:
        archive.extractall(tmp_path)
    for rate, edge, samples in ((7400, 2225, 500), (38_600, 9140, 1000), (48_000, 5050, 7)):
        x = cases.noise(samples, 0.5)
        x.astype("<f4").tofile(tmp_path / "x")
        line = ("node", PORTS / "airband.mjs", tmp_path, rate, edge, tmp_path / "x", tmp_path / "y")
        subprocess.run([str(part) for part in line], check=True)
        facts = Facts(rate, 1, edge)
        want = loaded.network.compute.forward(loaded.params, np.float64(x), facts=facts, rate=rate)
        y = np.fromfile(tmp_path / "y", "<f4")
        assert y.shape == want.shape
        assert np.abs(y - want).max() <= GRADES["bit-near"], rate
