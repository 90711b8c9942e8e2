"""`novasr weights`: show a file of weights, or convert the original's."""

import argparse
import os
from pathlib import Path
from typing import Any

from .. import weights
from ..networks.inflect import load as inflect
from ..tensors import flatten
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """The commands and their options."""
    w = commands.add_parser("weights", help="look at weights, or convert the original's")
    actions = w.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("show", help="tensors, parameter count and sha256 of a weights file")
    p.set_defaults(main=_show)
    p.add_argument("file", metavar="FILE", help="name or path; or the folder of Inflect-Nano's")
    p = actions.add_parser("convert", help="the original's .bin to safetensors", allow_abbrev=False)
    p.set_defaults(main=_convert)
    p.add_argument("input", metavar="IN.bin", help="or the folder of Inflect-Nano's two files")
    p.add_argument("output", metavar="OUT.safetensors")
    p.add_argument("--licence", help="goes into the file; known for the original's own")
    add_if_exists(p)


def _show(args: argparse.Namespace) -> int:
    if os.path.isdir(args.file):
        return _show_speech(args.file)
    try:
        path = weights.weights_path(args.file)
        tensors, metadata = weights.read_weights(path)
    except (OSError, ValueError) as error:
        usage(error)
    sha256 = weights.file_sha256(path)
    for name, value in tensors.items():
        shape = " x ".join(map(str, value.shape))
        print(f"{name:30} {shape:12} {value.dtype}  {value.min():+.4f} .. {value.max():+.4f}")
    trained, total = weights.parameter_counts(tensors)
    print(f"parameters  {trained:,} trained, {total:,} with the filters")
    print(f"sha256      {sha256}")
    if published := weights.published_as(sha256):
        print(f"published   {published}")
    for key, text in sorted(metadata.items()):
        print(f"{key:11} {text}")
    return EXIT_DONE


def _show_speech(folder: str) -> int:
    """Inflect-Nano's two files."""
    try:
        params = inflect.load(folder)
        for sha256, name in inflect.PUBLISHED.items():
            path = os.path.join(folder, name)
            found = weights.file_sha256(path)
            kind = "as published" if found == sha256 else "not the published file"
            print(f"{name:30} {os.path.getsize(path):>12,} bytes  {kind}\nsha256      {found}")
    except (OSError, ValueError) as error:
        usage(error)
    for part, tree in params.items():
        total = sum(value.size for value in flatten(tree).values())
        print(f"{part:11} {len(flatten(tree))} tensors, {total:,} numbers")
    return EXIT_DONE


def _convert(args: argparse.Namespace) -> int:
    try:
        refuse_existing(args.output, args.if_exists)
        if os.path.isdir(args.input):
            inflect.save(inflect.load(args.input), args.output)
            wrote(args.output, f"{inflect.NAME} as safetensors")
            return EXIT_DONE
        if os.path.exists(args.output) and os.path.samefile(args.input, args.output):
            raise ValueError(f"{args.output} would replace its own input")
        params = weights.load_weights(Path(args.input))
        sha256 = weights.file_sha256(args.input)
        published = weights.published_as(sha256)
        licence = args.licence or (published and weights.network_of(params).licence)
        if not licence:
            raise ValueError(f"{args.input} is no published checkpoint: give its --licence")
        weights.save_weights(
            params,
            args.output,
            provenance=f"{published or 'checkpoint'}, converted from sha256 {sha256}",
            licence=licence,
        )
    except (OSError, ValueError) as error:
        usage(error)
    wrote(args.output, f"{weights.network_of(params).name} as safetensors")
    return EXIT_DONE
