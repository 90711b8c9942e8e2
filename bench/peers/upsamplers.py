"""airband, NovaSR, SpeechSR: numpy and JAX beside ONNX Runtime and torch, on the demo's clip."""

import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench.data import upstream
from bench.timing import python
from novasr_np.networks import Network
from novasr_np.networks.record import Params
from novasr_np.pipeline.arrays import run_bare
from novasr_np.pipeline.backend import Backend
from novasr_np.weights import as_weights, embedded_weights, load_weights

from .subject import Case, Engine, Subject, max_abs

Run = Callable[[np.ndarray], np.ndarray]  # [T] -> what the network's `forward` gives

_CLIP = Path(__file__).parents[1] / "demo_16k.flac"
_CHECKPOINTS = {
    "SpeechSR-48k": "speechsr/speechsr48k_G_100000.pth",
    "SpeechSR-24k": "speechsr/speechsr24k_G_340000.pth",
}
MIRRORS = {"NovaSR": "forward", "SpeechSR-48k": "speechsr"}  # functions of `bench.torch_mirror`
_SHORT = 32_000  # samples


def in_numpy(
    params: Params, threads: int, x: Any = None, dtype: Any = np.float32, **place: Any
) -> Run:
    """place: sample_rate and edge, as for `run_bare`."""
    runner = Backend(threads).open(as_weights(params), dtype)
    return lambda x: run_bare(runner, x[np.newaxis], **place)[0]


def in_jax(params: Params, threads: int, x: Any = None, **options: Any) -> Run:
    """On all the cores of the process: XLA does not share a machine by threads."""
    from novasr_jax.backend import Backend as JaxBackend  # noqa: PLC0415

    runner = JaxBackend(device="cpu", **options).open(as_weights(params))
    return lambda x: run_bare(runner, x[np.newaxis])[0]


def in_onnxruntime(params: Params, threads: int, x: Any = None, model: Any = None) -> Run:
    """model: a path or bytes; None for our own export."""
    session = onnx_session(model or exported(params), threads)
    sound, *others = (given.name for given in session.get_inputs())
    # airband's other input is where the sound ends, in bins of 50 Hz: at half of 16 kHz.
    edge = dict.fromkeys(others, np.array(160))
    return lambda x: session.run(None, {sound: x[None, None]} | edge)[0][0, 0]


def exported(params: Params, **options: Any) -> bytes:
    return as_weights(params).network.ports.to_onnx(params, **options).SerializeToString()


def onnx_session(model: Any, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def in_torch(params: Params, threads: int, x: Any = None) -> Run:
    """The layers one after another, as the original computes them."""
    import torch  # noqa: PLC0415

    from bench import torch_mirror  # noqa: PLC0415

    torch.set_num_threads(threads)
    forward = getattr(torch_mirror, MIRRORS[as_weights(params).network.name])
    tensors = torch_mirror.prepare(params)
    return lambda x: forward(tensors, torch.from_numpy(x)[np.newaxis])[0].numpy()


def subject(network: Network) -> Subject:
    engines: dict[str, Engine] = {"novasr_np": in_numpy, "novasr_jax": in_jax}
    if network.ports and network.ports.to_onnx:
        engines["ONNX Runtime"] = in_onnxruntime
    if network.name in MIRRORS:
        engines["torch mirror"] = in_torch
    own = network.weights.default
    return Subject(
        name=network.name,
        sample_rate=network.rate_out,
        about="A clip of speech. Errors are max-abs, against the network's own float64. ONNX "
        "Runtime runs our own export.",
        weights=lambda folder: own or str(upstream(_CHECKPOINTS[network.name])),
        load=lambda weights: load_weights(weights).params,
        case=_case,
        engines=engines,
        base="ONNX Runtime",
        # torch interpolates at places that are rounded to float32: they drift with the length.
        most={"torch mirror": 0.1},
        streams=tuple(n for n in sorted(embedded_weights()) if own and n.startswith(own[:6])),
        long=partial(_hour, network) if own else None,
    )


def _case(params: Params, seconds: float) -> Case:
    x, _ = soundfile.read(_CLIP, dtype="float32")
    x = np.resize(x, round(16_000 * seconds))

    @cache
    def truth() -> np.ndarray:
        """In blocks, for memory; the tests hold them and `forward` together."""
        with Backend().open(as_weights(params), np.float64) as runner:
            return run_bare(runner, np.float64(x)[np.newaxis])[0]

    return Case(x, x[:_SHORT], lambda y: max_abs(y, truth()))


def _hour(network: Network, weights: str) -> Iterator[str]:
    """The command, from the start of the process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        clip, _ = soundfile.read(_CLIP)
        soundfile.write(source, np.resize(clip, 3600 * 16_000), 16_000)
        command = ("-m", "novasr_np.cli", "upsample", str(source), "-o", str(target), "-q")
        ran = python(*command, "--weights", weights)
        assert soundfile.info(target).frames == 3600 * network.rate_out
    yield ""
    yield (
        f"The command on an hour of WAV, file to file: {3600 / ran.seconds:.0f} x real time, "
        f"{ran.megabytes:.0f} MB at most."
    )
