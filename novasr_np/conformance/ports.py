"""Ports as functions: a program, or a model in ONNX."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..errors import missing_extra
from ..files.reading import read
from ..files.writing import writing
from .verify import Port

FORMATS = ("raw", "wav")
_DTYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
_MESSAGE_LENGTH = 200  # characters of an error message that are shown


def program(template: str, rate_out: int, format: str = "raw", timeout: float = 600) -> Port:
    """A port that is a program reading one file and writing another.

    template: the command line, no shell, with {input} and {output} for the files: format "raw" is
    little-endian float32, "wav" is 16 bits in and whatever libsndfile reads out. timeout is in
    seconds. Raises ValueError for a template without the two, or another format, and OSError if
    there is no such program.

    The port raises OSError if the program cannot be run, fails or writes nothing, or a WAV file
    that is not one channel at 48 kHz; TimeoutError if it takes too long, when it is ended with all
    that it started.
    """
    line = shlex.split(template)
    for name in ("{input}", "{output}"):
        if not any(name in part for part in line):
            raise ValueError(f"the command has no {name}: {template!r}")
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, got {format!r}")
    if shutil.which(line[0]) is None:
        raise FileNotFoundError(f"no program {line[0]!r}")

    def port(x: np.ndarray, rate: int) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="novasr-verify-") as folder:
            suffix = ".f32" if format == "raw" else ".wav"
            source, target = Path(folder, f"input{suffix}"), Path(folder, f"output{suffix}")
            if format == "raw":
                source.write_bytes(x.astype("<f4").tobytes())
            else:
                with writing(source, rate, 1, "wav") as file:
                    file.write(x[np.newaxis])
            names = {"{input}": str(source), "{output}": str(target)}
            _run([_replaced(part, names) for part in line], timeout, Path(folder, "messages"))
            if not target.exists():
                raise OSError("it wrote no output")
            if format == "raw":
                data = target.read_bytes()
                if len(data) % 4:
                    raise OSError(f"its output is no float32: {len(data)} bytes")
                return np.frombuffer(data, "<f4")
            y, rate = read(target)
            if (len(y), rate) != (1, rate_out):
                raise OSError(
                    f"its WAV has {len(y)} channels at {rate} Hz, expected 1 at {rate_out}"
                )
            return y[0]

    return port


def onnx(path: str) -> Port:
    """A port that is an ONNX model, [batch, 1, time] or [batch, time], by ONNX Runtime on the CPU.

    Raises ModuleNotFoundError without ONNX Runtime, OSError or ValueError for what is no model.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("--onnx needs ONNX Runtime", "onnx") from error
    model = Path(path).read_bytes()
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, one for each fault of a model
        raise ValueError(f"{path}: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _DTYPES:
        has = ", ".join(value.type for value in (*inputs, *outputs))
        raise ValueError(f"{path}: expected a tensor of floats in, and one out; it has {has}")
    dtype = _DTYPES[inputs[0].type]
    axes = (np.newaxis,) * (len(inputs[0].shape) - 1)

    def port(x: np.ndarray, rate: int) -> np.ndarray:
        try:
            y = session.run(None, {inputs[0].name: x.astype(dtype)[axes]})[0]
        except Exception as error:
            raise OSError(_one_line(str(error))) from error
        return np.asarray(y).reshape(-1)

    return port


def _replaced(part: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        part = part.replace(name, path)
    return part


def _run(line: list[str], timeout: float, messages: Path) -> None:
    """Run a program to its end, its standard error in a file."""
    with open(messages, "wb") as file:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"it took longer than {timeout:g} s") from error
    finally:
        if process.poll() is None:
            if os.name == "posix":  # what it has started, too
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
    if status:
        said = (
            messages.read_bytes()[-10 * _MESSAGE_LENGTH :]
            .decode(errors="replace")
            .strip()
            .splitlines()
        )
        ended = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        raise OSError(f"{ended}{': ' + _one_line(said[-1]) if said else ''}")


def _one_line(text: str) -> str:
    """A message as one line that no terminal minds."""
    line = " ".join(text.split())
    shown = line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]} ..."
    return "".join(c if c.isprintable() else "?" for c in shown)
