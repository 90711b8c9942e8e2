"""Command-line options that several commands share."""

import argparse
import importlib.util
import math
import os
from collections.abc import Callable
from typing import Any

from .. import weights
from ..dsp.resample import RESAMPLERS
from ..errors import missing_extra
from ..networks import NETWORKS, Network
from ..pipeline.backend import Backend


def refuse_existing(path: str, if_exists: str) -> None:
    """Raise OSError unless `path` is new, or a file that `if_exists` allows to be replaced."""
    if not path:
        raise FileNotFoundError("the output must have a name, got ''")
    if os.path.lexists(path):
        if if_exists == "error":
            raise FileExistsError(f"{path} exists: -f replaces it")
        if not os.path.isfile(path):
            raise FileExistsError(f"{path} exists and is no regular file")


def add_if_exists(parser: argparse.ArgumentParser, skip: bool = False) -> None:
    """Add the options for an output that exists. skip: whether leaving it as it is is a choice."""
    choices = ("error", "skip", "overwrite") if skip else ("error", "overwrite")
    parser.add_argument(
        "--if-exists",
        choices=choices,
        default="error",
        help="action when an output exists; default: error",
    )
    parser.add_argument(
        *("-f", "--force"),
        dest="if_exists",
        action="store_const",
        const="overwrite",
        help="replace outputs that exist, the same as --if-exists overwrite",
    )


def add_network(
    parser: argparse.ArgumentParser, default: str = weights.DEFAULT, follow: bool = False
) -> None:
    """Add the options of how the network is used.

    default: the weights without --weights. follow: whether the edge may be followed.
    """
    add_weights(parser, default)
    unknown = (
        "follow: found again and again; default: half the rate"
        if follow
        else "default: found in each file"
    )
    parser.add_argument(
        "--edge",
        type=edge if follow else number,
        metavar="HZ",
        help="Hz at which the sound ends, for airband, which keeps all below and makes all above; "
        + unknown,
    )
    parser.add_argument(
        "--resampler",
        choices=("auto", *RESAMPLERS),
        default="auto",
        help="resampler that converts the input to the network's sampling rate: steep, upstream "
        "(NovaSR's original's, leaky), hann (FlashSR's) or soxr; default: auto, the network's own, "
        "which is steep for airband",
    )
    parser.add_argument(
        "--keep-lowband",
        type=band,
        default="auto",
        metavar="HZ",
        help="Hz below which the input's own sound is kept; auto (default): 7/8 of the highest "
        "frequency that its sampling rate allows, or at which a file's spectrum ends; off: keep "
        "nothing, and use the network's output alone, which with airband keeps it anyway",
    )


def add_weights(parser: argparse.ArgumentParser, default: str = weights.DEFAULT) -> None:
    """Add the option for the network's weights. default: their name without it."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default=os.environ.get("NOVASR_WEIGHTS") or None,
        help="weights: a name, or the path of a file or folder, in our format or the original's; "
        f"default: $NOVASR_WEIGHTS, else {default}",
    )


def add_variant(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses among the weights in a folder, or the networks of a file."""
    tables = [network.weights for network in NETWORKS.values()]
    variants = dict.fromkeys(v for table in tables if table.store for v in table.store.VARIANTS)
    variants |= dict.fromkeys(table.variant for table in tables if table.variant)
    parser.add_argument(
        "--variant",
        choices=tuple(variants),
        help="set of weights in a folder that holds several, default: the first of these present; "
        "or the network of a SpeechSR checkpoint that is no published one",
    )


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add `--variant`, and a group of options for each network that has some."""
    add_variant(parser)
    for network in NETWORKS.values():
        if not network.options:
            continue
        group = parser.add_argument_group(network.name)
        for option in network.options:
            name = f"--{option.name.replace('_', '-')}"
            if option.parse is None and option.choices is None:
                group.add_argument(name, action="store_true", default=None, help=option.help)
            else:
                group.add_argument(
                    name,
                    type=_parser(option.parse or str),
                    choices=option.choices,
                    metavar=option.metavar,
                    help=option.help,
                )


def _parser(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap `parse` so that argparse prints the message of its ValueError."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def choices(args: argparse.Namespace, network: Network) -> dict[str, Any]:
    """Network options given on the command line, by name.

    Raises ValueError for an option of another network, or a value the network does not take.
    """
    given = {}
    for other in NETWORKS.values():
        for option in other.options:
            if (value := getattr(args, option.name)) is None:
                continue
            if option not in network.options:
                name = option.name.replace("_", "-")
                raise ValueError(
                    f"--{name} is for {other.name}, but the weights are for {network.name}"
                )
            given[option.name] = value
    network.choose(given)
    return given


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the backend, numpy or JAX."""
    j = parser.add_argument_group("the JAX backend (needs the extra jax)")
    j.add_argument(
        "--backend",
        choices=("numpy", "jax"),
        default="numpy",
        help="library that computes; default: numpy",
    )
    j.add_argument(
        "--device", choices=("cpu", "gpu", "tpu"), help="device for JAX; default: JAX's choice"
    )
    j.add_argument(
        "--precision",
        choices=("highest", "high", "fp16", "bf16"),
        help="precision of JAX's large matrix products; default: highest, float32",
    )
    j.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="number of segments that JAX computes at once; default: by device",
    )
    j.add_argument(
        "--segment",
        type=positive,
        metavar="N",
        help="number of input samples in each segment of a batch; default: by device",
    )
    j.add_argument(
        "--compilation-cache",
        metavar="DIR",
        help="folder in which JAX keeps compiled programs for later runs",
    )


def positive(text: str) -> int:
    """Parse an option's whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """Parse an option's number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def edge(text: str) -> str | float:
    """Parse `follow` or a number of Hz into what `novasr_np.Stream` takes."""
    try:
        return text if text == "follow" else number(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected follow or Hz, got {text!r}") from None


def band(text: str) -> str | float | bool:
    """Parse `auto`, `off` or a number of Hz into what `novasr_np.upsample` takes."""
    if text in ("auto", "off"):
        return "auto" if text == "auto" else False
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected auto, off or Hz, got {text!r}") from None


def for_workers(args: argparse.Namespace, loaded: weights.Weights) -> tuple[Any, str | None]:
    """The weights as worker processes get them, and their variant: large ones by their path."""
    large = loaded.network.weights.store is not None
    return os.path.abspath(args.weights) if large else loaded, args.variant


def backend(
    args: argparse.Namespace,
    threads: int | None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Create the backend that the options choose: `pipeline.backend.Backend`, or novasr_jax's.

    threads: for numpy; options: of the network.

    Raises ModuleNotFoundError without JAX, ValueError for options that contradict each other.
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
        options=options,
    )
