"""The options that several commands share."""

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
        default="auto",
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
        help="name, or path of a file or a folder, ours or the original's (default: "
        f"$NOVASR_WEIGHTS, else {default})",
    )


def add_variant(parser: argparse.ArgumentParser) -> None:
    """The option that chooses among the weights of a folder."""
    stores = [network.weights.store for network in NETWORKS.values()]
    variants = dict.fromkeys(v for store in stores if store for v in store.VARIANTS)
    parser.add_argument(
        "--variant",
        choices=tuple(variants),
        help="which of the weights in a folder; default: the first of these that is there",
    )


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Which weights of a folder, and a group of options for each network that has some."""
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
    """argparse tells what such an error says, and not what a ValueError does."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def choices(args: argparse.Namespace, network: Network) -> dict[str, Any]:
    """Those of `add_choices` that were given, by name.

    Raises ValueError if one was that the network does not have, or not of that value.
    """
    given = {}
    for other in NETWORKS.values():
        for option in other.options:
            if (value := getattr(args, option.name)) is None:
                continue
            if option not in network.options:
                name = option.name.replace("_", "-")
                raise ValueError(
                    f"--{name} is for {other.name}, and these are weights of {network.name}"
                )
            given[option.name] = value
    network.choose(given)
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


def number(text: str) -> float:
    """Parse an option's number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def band(text: str) -> str | float | bool:
    """Parse auto, off or Hz, as `upsample` takes them."""
    if text in ("auto", "off"):
        return "auto" if text == "auto" else False
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
    """The backend that the options choose: `pipeline.backend.Backend`, or novasr_jax's.

    threads: of numpy; options: of the network; shared: for JAX, whether many threads ask at once.

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
