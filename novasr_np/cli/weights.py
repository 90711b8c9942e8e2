"""`novasr weights`: show weights, or convert them."""

import argparse
from typing import Any

from .. import weights
from ..networks.voices import voice_at
from .messages import EXIT_DONE, show, usage, wrote
from .options import add_if_exists, add_variant, refuse_existing


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    w = commands.add_parser("weights", help="show weights, or convert them to safetensors")
    actions = w.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("show", help="show tensors, parameter count and sha256 of weights")
    p.set_defaults(main=_show)
    p.add_argument("file", metavar="FILE", help="weights: a name, or the path of a file or folder")
    add_variant(p)
    p = actions.add_parser("convert", help="convert weights to safetensors", allow_abbrev=False)
    p.set_defaults(main=_convert)
    p.add_argument(
        "input",
        metavar="IN",
        help="weights: a name, or the path of a file or folder, the original's or ours",
    )
    add_variant(p)
    p.add_argument("output", metavar="OUT.safetensors", help="file to write")
    p.add_argument(
        "--licence",
        help="licence to note in the file; needed unless the weights are a published checkpoint "
        "or state one",
    )
    p.add_argument(
        "--dtype",
        choices=("float16", "float32", "int8"),
        help="stored type; int8 rounds matrices to 8 bits, which saves two fifths of float16; "
        "default: float16 if that is exact, else float32",
    )
    add_if_exists(p)


def _show(args: argparse.Namespace) -> int:
    try:
        path = weights.weights_path(args.file)
        if voice := voice_at(path):
            lines = list(voice.weights.describe(path))
        else:
            lines = list(weights.describe_weights(args.file, args.variant))
    except (OSError, ValueError) as error:
        usage(error)
    show(*lines)
    return EXIT_DONE


def _convert(args: argparse.Namespace) -> int:
    try:
        refuse_existing(args.output, args.if_exists)
        if voice := voice_at(args.input):
            if args.dtype:
                raise ValueError(f"weights of {voice.name} have no other type, got {args.dtype}")
            voice.weights.save(voice.weights.load(args.input), args.output)
            wrote(args.output, f"{voice.name} as safetensors")
            return EXIT_DONE
        network = weights.convert_weights(
            args.input,
            args.output,
            variant=args.variant,
            licence=args.licence,
            dtype=args.dtype,
        )
    except (OSError, ValueError) as error:
        usage(error)
    wrote(args.output, f"{network.name} as safetensors")
    return EXIT_DONE
