"""Other implementations as functions, for `conformance`: a program, or a model in ONNX."""

import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import audio
from .conformance import Port

FORMATS = ("raw", "wav")


def program(template: str, format: str = "raw", timeout: float = 600) -> Port:
    """A port that is a program reading one file and writing another.

    template: the command line, no shell, with {input} and {output} for the files: format "raw" is
    little-endian float32, "wav" is 16 bits in and whatever libsndfile reads out. timeout is in
    seconds. Raises ValueError for a template without the two, or another format.

    The port raises OSError if the program cannot be run, fails, takes too long or writes nothing.
    """
    line = shlex.split(template)
    for name in ("{input}", "{output}"):
        if not any(name in part for part in line):
            raise ValueError(f"the command has no {name}: {template!r}")
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, got {format!r}")

    def port(x: np.ndarray, rate: int) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="novasr-verify-") as folder:
            suffix = ".f32" if format == "raw" else ".wav"
            source, target = Path(folder, f"input{suffix}"), Path(folder, f"output{suffix}")
            if format == "raw":
                source.write_bytes(x.astype("<f4").tobytes())
            else:
                with audio.writing(source, rate, 1, "wav") as file:
                    file.write(x[np.newaxis])
            names = {"{input}": str(source), "{output}": str(target)}
            _run([_replaced(part, names) for part in line], timeout)
            if not target.exists():
                raise OSError("it wrote no output")
            if format == "raw":
                data = target.read_bytes()
                if len(data) % 4:
                    raise OSError(f"its output is no float32: {len(data)} bytes")
                return np.frombuffer(data, "<f4")
            y, _ = audio.read(target)
            return y[0]

    return port


def onnx(path: str) -> Port:
    """A port that is an ONNX model, [batch, 1, time] or [batch, time], by ONNX Runtime on the CPU.

    Raises ModuleNotFoundError without ONNX Runtime, OSError or ValueError for what is no model.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--onnx needs ONNX Runtime: pip install 'novasr-np[onnx]'"
        ) from error
    model = Path(path).read_bytes()
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, one for each fault of a model
        raise ValueError(f"{path}: {error}") from error
    (given,) = session.get_inputs()
    dtype = np.float16 if "float16" in given.type else np.float32
    axes = (np.newaxis,) * (len(given.shape) - 1)

    def port(x: np.ndarray, rate: int) -> np.ndarray:
        try:
            return session.run(None, {given.name: x.astype(dtype)[axes]})[0].reshape(-1)
        except Exception as error:
            raise OSError(str(error).splitlines()[0]) from error

    return port


def _replaced(part: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        part = part.replace(name, path)
    return part


def _run(line: list[str], timeout: float) -> None:
    try:
        done = subprocess.run(line, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"it took longer than {timeout:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(f"exit status {done.returncode}{': ' + said[-1] if said else ''}")
