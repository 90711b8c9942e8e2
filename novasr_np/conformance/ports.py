"""Ports as functions: a program, or an ONNX model."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import missing_extra, printable
from ..files.reading import read
from ..files.writing import writing
from ..networks import Network
from .cases import Case

FORMATS = ("raw", "wav")
_DTYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
_INTEGERS = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
_BIN = 50  # Hz of a bin in which a port is told an edge
_FATAL = 4  # ONNX Runtime's level of messages
_MESSAGE_LENGTH = 200  # characters of an error message that are shown


@dataclass(frozen=True)
class ToldPort:
    """Port as `verify` takes it, and what it can be told of a sound besides its samples."""

    run: Callable[..., np.ndarray]  # (x [T], rate, edge) -> y
    rate: int | None  # Hz that all of its inputs have; None if it is told the rate
    edge: bool  # whether it is told the edge; else that is half the rate
    channels: bool = False  # whether it can be given two channels
    # (x [T], rate, edge) -> what each of its stages gives, by name; None if it cannot say
    stages: Callable[..., dict[str, np.ndarray]] | None = None

    def __call__(self, x: np.ndarray, rate: int, edge: float | None = None) -> np.ndarray:
        """Run the port. Raises as `program` and `onnx` say."""
        return self.run(x, rate, edge)

    def takes(self, case: Case) -> bool:
        """Whether it can be told what it has to know for a case."""
        rate_is_known = self.rate in (None, case.rate)
        edge_is_known = self.edge or case.edge in (None, case.rate / 2)
        return rate_is_known and edge_is_known and (self.channels or case.x.ndim == 1)


def program(template: str, network: Network, format: str = "raw", timeout: float = 600) -> ToldPort:
    """Make a port of a network of a program that reads one file and writes another.

    template: the command line, run without a shell, with {input} and {output} for the files, and
    where they are wanted {rate}, of the input in Hz, and {edge}, Hz at which its sound ends, or
    {bin}, the same in bins of 50 Hz; and {stages}, a folder to which it may write what each stage
    gives, as NAME.f32, float32 [channels, time], the last axis fastest. format: "raw" for
    little-endian float32; "wav" for a 16-bit input, of one channel or two, and an output that
    libsndfile can read. timeout: in seconds. Raises ValueError for a template without {input} or
    {output}, or another format, and OSError if there is no such program.

    The port raises OSError if the program cannot be run, fails, writes nothing, or writes a WAV
    file that has not the input's channels or not the network's output rate; TimeoutError if it
    takes too long, and then it is ended with all processes that it started.
    """
    line = shlex.split(template)
    for name in ("{input}", "{output}"):
        if not any(name in part for part in line):
            raise ValueError(f"the command must contain {name}, got {template!r}")
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if shutil.which(line[0]) is None:
        raise FileNotFoundError(f"the command must name a program, got {line[0]!r}")

    def port(
        x: np.ndarray,
        rate: int,
        edge: float | None,
        stages: dict[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="novasr-verify-") as folder:
            suffix = ".f32" if format == "raw" else ".wav"
            source, target = Path(folder, f"input{suffix}"), Path(folder, f"output{suffix}")
            if format == "raw":
                source.write_bytes(x.astype("<f4").tobytes())
            else:
                with writing(source, rate, len(np.atleast_2d(x)), "wav") as file:
                    file.write(np.atleast_2d(x))
            hertz = rate / 2 if edge is None else edge
            written = Path(folder, "stages")
            written.mkdir()
            names = {
                "{stages}": str(written),
                "{input}": str(source),
                "{output}": str(target),
                "{rate}": str(rate),
                "{edge}": f"{hertz:g}",
                "{bin}": str(round(hertz / _BIN)),
            }
            _run([_replaced(part, names) for part in line], timeout, Path(folder, "messages"))
            if stages is not None:
                stages |= {p.stem: _floats(p) for p in sorted(written.glob("*.f32"))}
            if not target.exists():
                raise OSError("it wrote no output")
            if format == "raw":
                return _floats(target)
            y, rate = read(target)
            channels = len(np.atleast_2d(x))
            if (len(y), rate) != (channels, network.rate_out):
                plural = "s" if channels > 1 else ""
                raise OSError(
                    f"its WAV must have {channels} channel{plural} at {network.rate_out} Hz, got "
                    f"{len(y)} at {rate} Hz"
                )
            return y.reshape(*x.shape[:-1], -1)

    def run_stages(x: np.ndarray, rate: int, edge: float | None = None) -> dict[str, np.ndarray]:
        stages: dict[str, np.ndarray] = {}
        port(x, rate, edge, stages)
        return stages

    is_told_rate = format == "wav" or "{rate}" in template
    is_told_edge = "{edge}" in template or "{bin}" in template
    return ToldPort(
        port,
        None if is_told_rate else network.rate_in,
        is_told_edge,
        format == "wav",
        run_stages if "{stages}" in template else None,
    )


def onnx(path: str, network: Network) -> ToldPort:
    """Make a port of an ONNX model, [batch, 1, time] or [batch, time], by ONNX Runtime on the CPU.

    Its metadata say the rate of its input in Hz, as ``sample_rate``, if that is not the network's
    own. It may have a second input, an integer: the edge in bins of 50 Hz.

    Raises ModuleNotFoundError without ONNX Runtime, OSError or ValueError for a file that is no
    model.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("--onnx needs ONNX Runtime", "onnx") from error
    model = Path(path).read_bytes()
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL  # errors are raised, and the rest quotes the model
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has an exception for each fault of a model
        raise ValueError(f"{path}: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    edges = [value for value in inputs[1:] if value.type in _INTEGERS]
    numbers = (len(inputs) - len(edges), len(edges) <= 1, len(outputs))
    if numbers != (1, True, 1) or inputs[0].type not in _DTYPES:
        has = ", ".join(value.type for value in (*inputs, *outputs))
        raise ValueError(
            f"{path} must have one tensor of floats in, an integer besides at most, and one tensor "
            f"out, got {has}"
        )
    own_rate = session.get_modelmeta().custom_metadata_map.get("sample_rate", network.rate_in)
    dtype = _DTYPES[inputs[0].type]
    axes = (np.newaxis,) * (len(inputs[0].shape) - 1)

    def port(x: np.ndarray, rate: int, edge: float | None) -> np.ndarray:
        values = {inputs[0].name: x.astype(dtype)[axes]}
        for value in edges:
            bin = round((rate / 2 if edge is None else edge) / _BIN)
            values[value.name] = np.full([1] * len(value.shape), bin, _INTEGERS[value.type])
        try:
            y = session.run(None, values)[0]
        except Exception as error:
            raise OSError(_one_line(str(error))) from error
        return np.asarray(y).reshape(-1)

    return ToldPort(port, int(own_rate), bool(edges))


def _floats(path: Path) -> np.ndarray:
    data = path.read_bytes()
    if len(data) % 4:
        kind = "stage" if path.parent.name == "stages" else "output"
        raise OSError(f"its {kind} must be float32 samples, got {len(data)} bytes")
    return np.frombuffer(data, "<f4")


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
            if os.name == "posix":  # also the processes that it has started
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
    if status:
        ended = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        said = _complaint(messages)
        raise OSError(f"{ended}{': ' + said if said else ''}")


def _complaint(messages: Path) -> str:
    """What a program said that looks like its error: a line that says so, else its last three."""
    lines: list[str] = []
    with open(messages, "rb") as file:
        # A line may have no end: a part of it is enough.
        while line := file.readline(10 * _MESSAGE_LENGTH):
            text = line.decode(errors="replace").strip()
            if "rror" in text or "panicked" in text:
                return _one_line(text)
            lines = [*lines, text][-3:] if text else lines
    return _one_line(" ".join(lines))


def _one_line(text: str) -> str:
    """Make a message one line of limited length."""
    line = " ".join(text.split())
    return printable(line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]} ...")
