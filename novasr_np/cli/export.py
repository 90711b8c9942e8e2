"""`novasr export`: the network for other runtimes."""

import argparse
from pathlib import Path
from typing import Any

from .. import weights
from ..atomic import atomic_write
from ..errors import missing_extra
from ..layers.onnx_nodes import OPSETS
from ..networks import Network
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, add_weights, refuse_existing


def add(commands: Any) -> None:
    """The commands and their options."""
    e = commands.add_parser("export", help="the network for other runtimes")
    formats = e.add_subparsers(required=True, metavar="FORMAT")
    p = formats.add_parser(
        "onnx",
        help="an ONNX model (extra onnx)",
        description="input [batch, 1, time] at 16 kHz, output [batch, 1, 3 time - 4] at 48 kHz, "
        "[batch, 1, 3 time] for SpeechSR and airband",
        allow_abbrev=False,
    )
    p.set_defaults(main=_onnx)
    p.add_argument("output", metavar="OUT.onnx")
    old, new = OPSETS
    p.add_argument(
        "--opset",
        type=int,
        default=new,
        metavar="N",
        help=f"{old} (old mobile and game runtimes) to {new}; default: {new}",
    )
    p.add_argument("--half", action="store_true", help="in float16, input and output too")
    _add_common(p)
    p = formats.add_parser(
        "stablehlo",
        help="StableHLO by jax.export, for cpu, cuda and tpu (extra jax)",
        description="x [batch, time] -> what the bare network gives, float32, with the weights "
        "inside (FlashSR's are an argument: its windows, see novasr_jax/to_stablehlo.py); time in "
        "whole steps of the network, which for airband are 80 samples. "
        "Such files are good for half a year of JAX versions: make them anew.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_stablehlo)
    p.add_argument("output", metavar="OUT")
    _add_common(p)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    add_if_exists(parser)


def _onnx(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".onnx"):
            raise ValueError(f"a model's name ends in .onnx, got {args.output!r}")
        refuse_existing(args.output, args.if_exists)
        loaded = weights.load_weights(args.weights)
        network, ports = loaded.network, loaded.network.ports
        if ports is None or ports.to_onnx is None:
            raise ValueError(f"{network.name} has no ONNX export")
        model = ports.to_onnx(loaded.params, opset=args.opset, half=args.half)
        what = f"ONNX, opset {args.opset}{', float16' if args.half else ''}"
        _write(args.output, model.SerializeToString(), network, what)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE


def _stablehlo(args: argparse.Namespace) -> int:
    try:
        refuse_existing(args.output, args.if_exists)
        loaded = weights.load_weights(args.weights)
        try:
            from novasr_jax.to_stablehlo import to_stablehlo  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise missing_extra("needs JAX", "jax") from error
        _write(args.output, to_stablehlo(loaded), loaded.network, "StableHLO")
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE


def _write(output: str, data: bytes, network: Network, what: str) -> None:
    with atomic_write(Path(output)) as file:
        file.write(data)
    wrote(output, f"{network.name} as {what}")
