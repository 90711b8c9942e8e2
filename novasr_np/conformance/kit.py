"""Export the conformance kit: inputs, outputs and every stage, as files for tests of a port."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WeightsError
from ..networks import Network
from ..networks.record import Facts
from ..version import __version__
from ..weights import Weights, file_sha256, load_weights, read_weights, weights_path
from .cases import Case, cases
from .trial import GRADES

STAGES_SAMPLES, STAGES_STEPS = 32, 10  # least length of the input whose stages are exported
STAGES_EDGE = 7000  # Hz

_README = """\
# {name} conformance kit

Made by `novasr verify --export` of novasr-np {version}, from the weights with sha256
`{sha256}`.

- `cases/NAME.x.npy`: input, float32, 16-bit values. `cases/NAME.y.npy`: what the bare network
  gives, float32, by its length law; computed in float64 and then rounded.
- `stages/NN-STAGE.npy`: what each stage gives for `stages/x.npy`, [channels, time], float32.
- `weights/TENSOR.npy`: the weights, float32. Convolutions are [out, in, tap].
- `kit.json`: for each case, and the stages, Hz of the input and Hz at which its sound ends (null
  for a network that is not told); the files' shapes and sha256, and the grades' largest errors.

A port is right in float32 if it is within {largest:g} of every y. A file in NumPy's format is 128
bytes of header, for all arrays here, and then the numbers, little-endian, the last axis fastest.
"""


def export(folder: Path, weights: str | None = None) -> None:
    """Write the kit for weights (a name or path, None for the default) as a new folder.

    The same weights give the same bytes. Raises FileExistsError if the folder exists, OSError if it
    cannot be written, WeightsError as `load_weights`.
    """
    path = weights_path(weights)
    loaded = load_weights(path)
    network = loaded.network
    if network.ports is None:
        raise WeightsError(f"there is no conformance kit for {network.name}")
    if folder.exists():
        raise FileExistsError(f"{folder} exists")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        kit = Path(temporary, "kit")
        kit.mkdir()
        arrays = dict(_arrays(loaded)) | {
            f"weights/{name}.npy": value.astype(np.float32)
            for name, value in read_weights(path)[1].items()
        }
        for name, value in arrays.items():
            (kit / name).parent.mkdir(exist_ok=True)
            np.save(kit / name, np.ascontiguousarray(value, "<f4"))
        index = {
            "novasr": __version__,
            "weights": file_sha256(path),
            "grades": GRADES,
            "cases": {_file(case): _told(case) for case in _cases(network)},
            "stages": _told(_stages_case(network)),
            "files": {
                name: {"shape": value.shape, "sha256": file_sha256(kit / name)}
                for name, value in sorted(arrays.items())
            },
        }
        (kit / "kit.json").write_text(json.dumps(index, indent=1) + "\n")
        (kit / "README.md").write_text(
            _README.format(
                version=__version__,
                sha256=index["weights"],
                largest=GRADES["float32"],
                name=network.name,
            )
        )
        kit.rename(folder)


def _arrays(weights: Weights) -> Iterator[tuple[str, np.ndarray]]:
    params = weights.params
    for case in _cases(weights.network):
        network, place = _placed(weights.network, case)
        yield f"cases/{_file(case)}.x.npy", case.x
        y = network.compute.forward(params, np.float64(case.x), **place)
        yield f"cases/{_file(case)}.y.npy", y
    case = _stages_case(weights.network)
    network, place = _placed(weights.network, case)
    yield "stages/x.npy", case.x
    stages = network.compute.stages(params, np.float64(case.x), **place)
    for number, (name, activation) in enumerate(stages, 1):
        yield f"stages/{number:02}-{name}.npy", activation


def _cases(network: Network) -> Iterator[Case]:
    return cases(network, long_seconds=0)


def _stages_case(network: Network) -> Case:
    """A part of the first case, with an edge below half the rate if the network takes any."""
    samples = max(STAGES_SAMPLES, STAGES_STEPS * network.cut.step)
    case = next(_cases(network))
    return case._replace(x=case.x[1000:][:samples], edge=STAGES_EDGE if network.takes else None)


def _file(case: Case) -> str:
    return case.name.replace(",", "").replace(" ", "-")


def _told(case: Case) -> dict[str, int | None]:
    return {"rate": case.rate, "edge": case.edge}


def _placed(network: Network, case: Case) -> tuple[Network, dict[str, Any]]:
    network = network.for_rate(case.rate)
    return network, network.place(0, Facts(case.rate, 1, case.edge))
