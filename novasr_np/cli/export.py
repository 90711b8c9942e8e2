"""`novasr export`: write the network as a model for other runtimes."""

import argparse
from pathlib import Path
from typing import Any

from .. import weights
from ..atomic import atomic_write
from ..errors import missing_extra
from ..layers.onnx_nodes import OPSETS
from ..networks import NETWORKS, Network
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, add_weights, positive, refuse_existing


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    e = commands.add_parser("export", help="write the network as an ONNX or StableHLO model")
    formats = e.add_subparsers(required=True, metavar="FORMAT")
    p = formats.add_parser(
        "onnx",
        help="write an ONNX model (needs the extra onnx)",
        description="Write the network as an ONNX model: input [batch, 1, time] at the network's "
        f"sampling rate; output {_onnx_outputs()}.",
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
        help=f"ONNX operator set, from {old} (old mobile and game runtimes) to {new}; "
        f"default: {new}",
    )
    p.add_argument("--half", action="store_true", help="use float16, for input and output too")
    p.add_argument(
        "--rate",
        type=positive,
        metavar="HZ",
        help="Hz of the input, for airband, whose model has the edge as a second input: in bins of "
        f"50 Hz; default: {weights.default_network().rate_in}",
    )
    _add_common(p)
    p = formats.add_parser(
        "stablehlo",
        help="write a StableHLO program for cpu, cuda and tpu, by jax.export (needs the extra jax)",
        description="Write the network as a StableHLO program: input [batch, time], output "
        f"[batch, samples], both float32, with the weights inside{_stablehlo_exceptions()}. JAX "
        "guarantees to read such a file for six months; after that, export it again.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_stablehlo)
    p.add_argument("output", metavar="OUT")
    p.add_argument(
        "--rate",
        type=positive,
        metavar="HZ",
        help="sampling rate of the input, one that the network takes; default: the network's own",
    )
    _add_common(p)


def _onnx_outputs() -> str:
    """The shapes of the networks' ONNX outputs, each with the networks that have it."""
    names: dict[str, list[str]] = {}
    for network in NETWORKS.values():
        if network.ports is None or network.ports.to_onnx is None:
            continue
        loss = f" - {network.cut.edge_loss}" if network.cut.edge_loss else ""
        factor = (
            f"{network.rate_out} / rate" if network.takes else network.rate_out // network.rate_in
        )
        shape = f"[batch, 1, {factor} time{loss}]"
        output = f"{shape} at {network.rate_out // 1000} kHz"
        names.setdefault(output, []).append(network.name)
    return "; ".join(f"{output} for {', '.join(of)}" for output, of in names.items())


def _stablehlo_exceptions() -> str:
    """Notes on the networks whose band, or whose weights, are an argument."""
    any_band, large = [], []
    for network in NETWORKS.values():
        if network.weights.store:
            large.append(network.name)
        elif network.takes:
            any_band.append(network.name)
    notes = []
    if any_band:
        notes.append(
            f"{', '.join(any_band)}: time in whole hops of 5 ms, and as a second input the Hz at "
            "which each sound ends, [batch] float32, NaN for half the rate"
        )
    if large:
        notes.append(f"{', '.join(large)}: windows as input, and the weights as an argument")
    return "".join(f"; {note}" for note in notes)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    add_if_exists(parser)


def _onnx(args: argparse.Namespace) -> int:
    try:
        if not args.output.lower().endswith(".onnx"):
            raise ValueError(f"the output's name must end in .onnx, got {args.output!r}")
        refuse_existing(args.output, args.if_exists)
        loaded = weights.load_weights(args.weights)
        network, ports = loaded.network, loaded.network.ports
        if ports is None or ports.to_onnx is None:
            raise ValueError(f"{network.name} has no ONNX export")
        if args.rate is not None and network.takes is None:
            raise ValueError(f"--rate is for airband, got {network.name}")
        rate = {} if args.rate is None else {"rate": args.rate}
        model = ports.to_onnx(loaded.params, opset=args.opset, half=args.half, **rate)
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
        what = "StableHLO" if args.rate is None else f"StableHLO at {args.rate} Hz"
        _write(args.output, to_stablehlo(loaded, args.rate), loaded.network, what)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    return EXIT_DONE


def _write(output: str, data: bytes, network: Network, what: str) -> None:
    with atomic_write(Path(output)) as file:
        file.write(data)
    wrote(output, f"{network.name} as {what}")
