"""`novasr weights`: show weights, or convert the original's."""

import argparse
from typing import Any

from .. import weights
from ..networks.voices import voice_at
from .messages import EXIT_DONE, show, usage, wrote
from .options import add_if_exists, add_variant, refuse_existing


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    w = commands.add_parser(
        "weights", help="show weights, or convert the original's to safetensors"
    )
    actions = w.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("show", help="show tensors, parameter count and sha256 of weights")
    p.set_defaults(main=_show)
    p.add_argument("file", metavar="FILE", help="weights: a name, or the path of a file or folder")
    add_variant(p)
    p = actions.add_parser(
        "convert", help="convert the original's weights to safetensors", allow_abbrev=False
    )
    p.set_defaults(main=_convert)
    p.add_argument("input", metavar="IN", help="file or folder of the original's weights")
    add_variant(p)
    p.add_argument("output", metavar="OUT.safetensors", help="file to write")
    p.add_argument(
        "--licence",
        help="licence to note in the file; needed unless the weights are a published checkpoint",
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
            voice.weights.save(voice.weights.load(args.input), args.output)
            wrote(args.output, f"{voice.name} as safetensors")
            return EXIT_DONE
        network = weights.convert_weights(
            args.input, args.output, variant=args.variant, licence=args.licence
        )
    except (OSError, ValueError) as error:
        usage(error)
    wrote(args.output, f"{network.name} as safetensors")
    return EXIT_DONE
