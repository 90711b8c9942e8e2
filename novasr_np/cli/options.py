"""The options that several commands share."""

import argparse
import importlib.util
import math
import os
from typing import Any

from .. import weights
from ..blocks import Backend
from ..dsp.resample import RESAMPLERS
from ..errors import missing_extra
from ..networks import Network, Windowed
from ..networks.flashsr import load
from ..networks.flashsr.options import Options
from ..networks.flashsr.sampler import SCHEDULES
from ..networks.flashsr.spec import LAST


def refuse_existing(path: str, if_exists: str) -> None:
    """Raises OSError unless an output may have that name: a new one, or, if so wanted, a file's."""
    if not path:
        raise FileNotFoundError("the output has no name")
    if os.path.lexists(path):
        if if_exists == "error":
            raise FileExistsError(f"{path} exists: -f replaces it")
        if not os.path.isfile(path):
            raise FileExistsError(f"{path} exists and is no regular file")


def add_if_exists(parser: argparse.ArgumentParser, skip: bool = False) -> None:
    """What becomes of an output that is there. skip: whether it can also be left as it is."""
    choices = ("error", "skip", "overwrite") if skip else ("error", "overwrite")
    parser.add_argument("--if-exists", choices=choices, default="error", help="default: error")
    parser.add_argument(
        *("-f", "--force"),
        dest="if_exists",
        action="store_const",
        const="overwrite",
        help="replace outputs that exist, as --if-exists overwrite does",
    )


def add_network(parser: argparse.ArgumentParser, default: str = weights.DEFAULT) -> None:
    """The options that say how the network is used. default: what runs without --weights."""
    add_weights(parser, default)
    parser.add_argument(
        "--resampler",
        choices=RESAMPLERS,
        default="upstream",
        help="to the rate that the network hears; default: upstream",
    )
    parser.add_argument(
        "--keep-lowband",
        type=band,
        default=True,
        metavar="HZ",
        help="restore the input's own sound below HZ; auto (default): 7/8 of what its sampling "
        "rate can hold, or of where a file's sound ends by its spectrum; off: the network alone",
    )


def add_weights(parser: argparse.ArgumentParser, default: str = weights.DEFAULT) -> None:
    """The option that chooses the network's weights."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default=os.environ.get("NOVASR_WEIGHTS") or None,
        help="name or path, .safetensors or the original's .bin, a folder for FlashSR (default: "
        f"$NOVASR_WEIGHTS, else {default})",
    )


def add_windows(parser: argparse.ArgumentParser) -> None:
    """The options of a network that hears windows."""
    w = parser.add_argument_group("FlashSR (--weights FOLDER)")
    w.add_argument(
        "--variant",
        choices=load.VARIANTS,
        help="of the weights in the folder; default: the first of these that is there",
    )
    w.add_argument("--seed", type=count, metavar="N", help="of the noise; default: 0")
    w.add_argument(
        "--timestep",
        type=count,
        metavar="N",
        help=f"0 to {LAST}; it was trained for {LAST} (default) only",
    )
    w.add_argument("--schedule", choices=tuple(SCHEDULES), help="mlx: of the port to MLX")
    w.add_argument(
        "--condition",
        choices=("mean", "sample"),
        help="of the input's latent: its mean (default), or drawn, as the original does",
    )
    w.add_argument(
        "--overlap",
        type=seconds,
        metavar="S",
        help="that a window of 5.12 s shares with the next, a multiple of 0.08; default: 0.56; "
        "0 for none",
    )
    w.add_argument(
        "--fade", type=number, metavar="S", help="of these in which one gives way; default: 0.4"
    )
    w.add_argument(
        "--exact-windows",
        action="store_true",
        default=None,
        help="as the original: no overlap, each window at its own level",
    )
    w.add_argument(
        "--low-pass",
        type=low_pass,
        metavar="HZ",
        help="before all else, as in its training: auto, where the sound ends; or Hz; default: off",
    )


def window_options(args: argparse.Namespace, network: Network | Windowed) -> dict[str, Any]:
    """Those of `add_windows` that were given, by the names that the network has for them.

    Raises ValueError if one was, and the network has none, or none of that value.
    """
    choices = {name: getattr(args, name) for name in Options._fields}
    given = {name: value for name, value in choices.items() if value is not None}
    if given and isinstance(network, Network):
        option = next(iter(given)).replace("_", "-")
        raise ValueError(f"--{option} is for FlashSR, and these are weights of {network.name}")
    for name in ("overlap", "fade"):
        if name in given:
            given[name] = round(given[name] * network.rate_in)
    if isinstance(network, Windowed):
        network.checked(given, network.window)
    return given


def add_backend(parser: argparse.ArgumentParser) -> None:
    """The options that choose what computes."""
    j = parser.add_argument_group("the JAX backend (extra jax)")
    j.add_argument("--backend", choices=("numpy", "jax"), default="numpy", help="default: numpy")
    j.add_argument("--device", choices=("cpu", "gpu", "tpu"), help="default: JAX's own choice")
    j.add_argument(
        "--precision",
        choices=("highest", "high", "fp16", "bf16"),
        help="of the large products; default: highest, float32",
    )
    j.add_argument(
        "--batch", type=positive, metavar="N", help="rows computed at once; default: by device"
    )
    j.add_argument(
        "--segment", type=positive, metavar="N", help="input samples in a row; default: by device"
    )
    j.add_argument(
        "--compilation-cache", metavar="DIR", help="keep compiled programs there for next time"
    )


def positive(text: str) -> int:
    """Parse an option's whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def count(text: str) -> int:
    """Parse an option's whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse an option's time, 0 or more."""
    return 0.0 if text == "0" else number(text)


def low_pass(text: str) -> str | float:
    """Parse auto, off or Hz."""
    return text if text in ("auto", "off") else number(text)


def number(text: str) -> float:
    """Parse an option's number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def band(text: str) -> bool | float:
    """Parse auto, off or Hz, as `crossover.cutoff` takes it."""
    if text in ("auto", "off"):
        return text == "auto"
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected auto, off or Hz, got {text!r}") from None


def backend(
    args: argparse.Namespace,
    threads: int | None,
    options: dict[str, Any] | None = None,
    shared: bool = False,
) -> Any:
    """The backend that the options choose: `blocks.Backend`, or novasr_jax's.

    threads: of numpy; options: of the network; shared: for JAX, whether many threads will ask at
    once.
    Raises ModuleNotFoundError without JAX, ValueError for options that do not go together.
    """
    if args.backend == "numpy":
        for name in ("device", "precision", "batch", "segment", "compilation_cache"):
            if getattr(args, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} needs --backend jax")
        return Backend(threads, options)
    if importlib.util.find_spec("jax") is None:
        raise missing_extra("--backend jax needs JAX", "jax")
    from novasr_jax import backend as jax_backend  # noqa: PLC0415

    return jax_backend.Backend(
        device=args.device,
        precision=args.precision or "highest",
        batch=args.batch,
        segment=args.segment,
        compilation_cache=args.compilation_cache,
        shared=shared,
        options=options,
    )
