"""What several commands share: exit statuses, messages, options of the network."""

import argparse
import contextlib
import importlib.util
import math
import os
import sys
from functools import partial
from typing import Any, NoReturn

from tqdm import tqdm

from .. import job, weights
from ..resample import RESAMPLERS

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """A message to standard error; if that cannot take it, the work goes on all the same."""
    with contextlib.suppress(OSError):
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def usage(error: Exception) -> NoReturn:
    """Say what is wrong with the command line, and end with status 2."""
    say(f"novasr: {job.words(error)}")
    sys.exit(EXIT_USAGE)


def refuse_existing(path: str, if_exists: str) -> None:
    """Raises OSError unless an output may have that name: a new one, or, if so wanted, a file's."""
    if not path:
        raise FileNotFoundError("the output has no name")
    if os.path.lexists(path):
        if if_exists == "error":
            raise FileExistsError(f"{path} exists: see --if-exists")
        if not os.path.isfile(path):
            raise FileExistsError(f"{path} exists and is no regular file")


def add_if_exists(parser: argparse.ArgumentParser) -> None:
    """What becomes of an output that is there; `refuse_existing` heeds it."""
    parser.add_argument("--if-exists", choices=("error", "overwrite"), default="error")


def add_network(parser: argparse.ArgumentParser) -> None:
    """The options that say how the network is used."""
    add_weights(parser)
    parser.add_argument("--resampler", choices=RESAMPLERS, default="upstream", help="to 16 kHz")
    parser.add_argument(
        "--keep-lowband",
        type=band,
        default=True,
        metavar="HZ",
        help="put back what the input itself has below HZ; auto (default) for nearly all that its "
        "sampling rate can hold, 7/16 of it; off for the network alone",
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """The option that chooses the network's weights."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default=os.environ.get("NOVASR_WEIGHTS") or None,
        help="name or path, .safetensors or the original's .bin (default: $NOVASR_WEIGHTS, "
        f"else {weights.DEFAULT})",
    )


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
        "--batch", type=positive, metavar="N", help="rows computed at once, default: by device"
    )
    j.add_argument(
        "--segment", type=positive, metavar="N", help="samples at 16 kHz in a row, likewise"
    )
    j.add_argument(
        "--compilation-cache", metavar="DIR", help="where compiled programs are kept for next time"
    )


def positive(text: str) -> int:
    """An option's whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def number(text: str) -> float:
    """An option's number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def band(text: str) -> bool | float:
    """auto, off or Hz, as `crossover.cutoff` takes it."""
    if text in ("auto", "off"):
        return text == "auto"
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected auto, off or Hz, got {text!r}") from None


def check_backend(args: argparse.Namespace) -> None:
    """Raises what makes the choice of a backend and its options wrong."""
    if args.backend == "jax":
        if importlib.util.find_spec("jax") is None:
            raise ModuleNotFoundError("--backend jax needs JAX: pip install 'novasr-np[jax]'")
        return
    for name in ("device", "precision", "batch", "segment", "compilation_cache"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} needs --backend jax")


def jax_options(
    args: argparse.Namespace, params: weights.Params, together: bool = False
) -> dict[str, Any]:
    """The options of a job that has JAX compute; together: what many threads ask for at once."""
    import jax  # noqa: PLC0415

    from novasr_jax import segments  # noqa: PLC0415
    from novasr_jax.together import Together  # noqa: PLC0415

    if args.compilation_cache is not None:
        jax.config.update("jax_compilation_cache_dir", args.compilation_cache)
        # These programs compile faster than what JAX by default thinks worth keeping.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    net = segments.network(
        params,
        batch=args.batch,
        segment=args.segment,
        precision=args.precision or "highest",
        devices=args.device,
    )
    return {
        "run": Together(net).run if together else partial(segments.run, net),
        "chunk": net.batch * net.segment,
        "segment": net.segment,
    }
