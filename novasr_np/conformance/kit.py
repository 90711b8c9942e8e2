"""Export the conformance kit: inputs, outputs and every stage, as files for tests of a port."""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_write
from ..errors import WeightsError
from ..networks import Network
from ..networks.record import Facts
from ..samples import ceil_div
from ..version import __version__
from ..weights import Weights, file_sha256, load_weights, read_weights, weights_path
from .cases import Case, cases, noise
from .trial import GRADES, lengths, truths

FORMAT = 1  # of the kit: another number when a reader of the old would fail or be misled
STAGES_SAMPLES, STAGES_STEPS = 32, 10  # least length of the input whose stages are exported
STAGES_EDGE = 7000  # Hz

# The long case is one period, a multiple of airband's hop and of no common block, repeated: so its
# truth is as short. 60 s at 16 kHz.
_PERIOD, _TIMES = 4240, 227  # samples

_README = """\
# Conformance kit of {name}

For those who port {name} to another language: what a port has to give, and a program that checks
it. Nothing of novasr-np is needed, whose `novasr verify --export`, version {version}, made it from
the weights with sha256 `{sha256}`.
How the network computes is told in the `PORTING.md` of its folder in novasr-np.

    python check.py './port {{rate}} {{edge}} {{input}} {{output}}'              # beside this page
    python check.py kit.zip './port {{rate}} {{edge}} {{input}} {{output}}'      # anywhere

`check.py` needs Python's standard library alone, and says at its top what the command is told. It
compares the files with their sha256, runs the command on each of the {cases} cases, prints the
largest error of each and the grade of all, and exits with 1 below `float32`. Without Python: give
each x to the port, and compare what it makes of it with y.

- `kit.json`: `format`, the version of this layout, {format}; `grades`, the largest error that each
  allows, the best first; `files`, shape and sha256 of each array; `cases` and `stages`, see below.
- `cases/NAME.x.npy`: an input, 16-bit values. `cases/NAME.y.npy`: what the bare network gives for
  it, computed in float64 and then rounded. `cases/NAME.padded.npy`, where the bare network gives
  less than the input lasts: what it gives for the input and some zeros, cut to that. A port may
  give either.
- `stages/NN-STAGE.npy`: what each stage gives for `stages/x.npy`, [channels, time]. The first that
  a port gives otherwise is where it goes wrong.
- `weights/TENSOR.npy`: the weights. Convolutions are [out, in, tap].

An array is one of NumPy's files: 128 bytes of header, and then float32, little-endian, the last
axis fastest. Of each case, and of the stages, `kit.json` tells the `rate`, Hz of the input, and the
`edge`, Hz at which its sound ends (null for a network that is not told). Of a case it tells
the samples of its `outputs`, too, and how many `times` x is repeated: once, but for the last case,
a minute long. Of its output the file has one period, and the `skip` first and last samples see the
ends and are not compared.

What is not here, for its size: sounds of ten minutes, lengths around the blocks in which others
compute, two channels, rates that a network does not take. `novasr verify --command` has these,
and it says what a wrong port does wrong.
"""


def export(path: Path, weights: str | None = None) -> tuple[int, int]:
    """Write the kit for weights, a name or path, None for the default.

    path: a new zip file if its name ends in .zip, else a new folder; it appears when it is whole.
    The same weights give the same bytes, unless another machine's float64 rounds to another
    float32. Returns the number of files and that of their bytes.

    Raises FileExistsError if `path` exists, OSError if it cannot be written, WeightsError as
    `load_weights`, and for a network without a kit.
    """
    network_weights = weights_path(weights)
    loaded = load_weights(network_weights)
    if loaded.network.ports is None:
        raise WeightsError(f"there is no conformance kit for {loaded.network.name}")
    if path.exists():
        raise FileExistsError(f"{path} exists")
    files = _files(loaded, network_weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    (_write_zip if path.suffix.lower() == ".zip" else _write_folder)(path, files)
    return len(files), sum(map(len, files.values()))


def _write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Write a zip file whose bytes are the same on every system."""
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)  # of 1980: no clock
            info.compress_type = zipfile.ZIP_STORED  # what deflate gives depends on its library
            info.create_system, info.external_attr = 3, 0o644 << 16  # as Unix
            archive.writestr(info, data)


def _write_folder(path: Path, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
        kit = Path(temporary, "kit")
        for name, data in files.items():
            (kit / name).parent.mkdir(parents=True, exist_ok=True)
            (kit / name).write_bytes(data)
        kit.rename(path)


def _files(loaded: Weights, weights: Path) -> dict[str, bytes]:
    """All files of the kit by name."""
    network, sha256 = loaded.network, file_sha256(weights)
    arrays = dict(_arrays(loaded)) | {
        f"weights/{name}.npy": value for name, value in read_weights(weights)[1].items()
    }
    files = {name: _npy(value) for name, value in sorted(arrays.items())}
    index: dict[str, Any] = {
        "format": FORMAT,
        "network": network.name,
        "novasr": __version__,
        "weights": sha256,
        "grades": GRADES,
        "cases": {_file(case): _told(case) | _extent(case, network) for case in _cases(network)},
        "stages": _told(_stages_case(network)),
        "files": {
            name: {"shape": arrays[name].shape, "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    page = _README.format(
        name=network.name,
        version=__version__,
        sha256=sha256,
        format=FORMAT,
        cases=len(index["cases"]),
    )
    return {
        "README.md": page.encode(),
        "check.py": Path(__file__).with_name("check.py").read_bytes(),
        "kit.json": (json.dumps(index, indent=1) + "\n").encode(),
        **files,
    }


def _npy(value: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(value, "<f4"))
    return file.getvalue()


def _arrays(weights: Weights) -> Iterator[tuple[str, np.ndarray]]:
    params = weights.params
    for case in _cases(weights.network):
        network, place = _placed(weights.network, case)
        x = case.x[: case.period]
        yield f"cases/{_file(case)}.x.npy", x
        for end, length in _outputs(case, network).items():
            if case.period:  # of the sound, with so many around it that it sees no end
                before = ceil_div(network.cut.left, case.period)
                after = ceil_div(network.cut.right, case.period)
                around = np.tile(np.float64(x), before + 1 + after)
                y = network.compute.forward(params, around, **place)
                y = y[network.at(before * case.period) :][: network.at(case.period)]
            else:
                (y,) = truths(case, params, network, length)
            yield f"cases/{_file(case)}.{end}.npy", y
    case = _stages_case(weights.network)
    network, place = _placed(weights.network, case)
    yield "stages/x.npy", case.x
    stages = network.compute.stages(params, np.float64(case.x), **place)
    for number, (name, activation) in enumerate(stages, 1):
        yield f"stages/{number:02}-{name}.npy", activation


def _cases(network: Network) -> Iterator[Case]:
    """The cases of `verify` that are short, and one that is long and one period repeated."""
    yield from cases(network, long_seconds=0)
    rate = network.rate_in
    edge = rate // 2 if network.takes else None
    x = np.tile(noise(_PERIOD, 0.3), _TIMES)
    yield Case(f"{_PERIOD} samples repeated", x, rate, edge=edge, period=_PERIOD)


def _stages_case(network: Network) -> Case:
    """A part of the first case, with an edge below half the rate if the network takes any."""
    samples = max(STAGES_SAMPLES, STAGES_STEPS * network.cut.step)
    case = next(_cases(network))
    return case._replace(x=case.x[1000:][:samples], edge=STAGES_EDGE if network.takes else None)


def _file(case: Case) -> str:
    return case.name.replace(",", "").replace(" ", "-")


def _told(case: Case) -> dict[str, Any]:
    return {"rate": case.rate, "edge": case.edge}


def _extent(case: Case, network: Network) -> dict[str, Any]:
    """How often the file's input is repeated, the outputs, and their samples that see an end."""
    network = network.for_rate(case.rate)
    return {
        "times": len(case.x) // case.period if case.period else 1,
        "outputs": _outputs(case, network),
        "skip": network.at(max(network.cut.left, network.cut.right)) if case.period else 0,
    }


def _outputs(case: Case, network: Network) -> dict[str, int]:
    """Right outputs, and their samples: of the bare network, and of `upsample` if it has more."""
    bare, whole = lengths(case, network)
    return {"y": bare} | ({"padded": whole} if whole != bare else {})


def _placed(network: Network, case: Case) -> tuple[Network, dict[str, Any]]:
    network = network.for_rate(case.rate)
    return network, network.place(0, Facts(case.rate, 1, case.edge))
