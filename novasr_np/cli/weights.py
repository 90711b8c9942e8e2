"""`novasr weights`: show a file of weights, or convert the original's."""

import argparse
import os
from pathlib import Path
from typing import Any

from .. import weights
from ..networks import Windowed, windowed_at
from ..networks.flashsr import load as flashsr
from ..networks.voices import voice_at
from ..tensors import flatten
from .messages import EXIT_DONE, usage, wrote
from .options import add_if_exists, refuse_existing


def add(commands: Any) -> None:
    """The commands and their options."""
    w = commands.add_parser("weights", help="look at weights, or convert the original's")
    actions = w.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("show", help="tensors, parameter count and sha256 of a weights file")
    p.set_defaults(main=_show)
    p.add_argument(
        "file", metavar="FILE", help="name or path; or the folder of Inflect-Nano's or FlashSR's"
    )
    _add_variant(p)
    p = actions.add_parser("convert", help="the original's .bin to safetensors", allow_abbrev=False)
    p.set_defaults(main=_convert)
    p.add_argument(
        "input", metavar="IN.bin", help="or the folder of Inflect-Nano's files or FlashSR's"
    )
    _add_variant(p)
    p.add_argument("output", metavar="OUT.safetensors")
    p.add_argument("--licence", help="goes into the file; known for the original's own")
    add_if_exists(p)


def _add_variant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant",
        choices=flashsr.VARIANTS,
        help="of FlashSR's weights in the folder; default: the first of these that is there",
    )


def _show(args: argparse.Namespace) -> int:
    try:
        path = weights.weights_path(args.file)
        if voice := voice_at(path):
            print(*voice.weights.describe(path), sep="\n")
            return EXIT_DONE
        if network := windowed_at(path):
            return _show_windowed(network, path, args.variant)
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


def _show_windowed(network: Windowed, path: Path, variant: str | None) -> int:
    """Files, parts and sizes of a network that is too large to list its tensors."""
    params = network.load(path, variant)
    place, kind = network.found(path, variant)
    for file in [place] if place.is_file() else sorted(place.iterdir()):
        if file.suffix in (".pth", ".safetensors"):
            print(f"{file.name:30} {file.stat().st_size:>16,} bytes")
            print(f"sha256      {weights.file_sha256(file)}")
    print(f"model       {network.name}, {kind}, computed in float32")
    for part, tree in params.items():
        tensors = flatten(tree)
        total = sum(value.size for value in tensors.values())
        print(f"{part:11} {len(tensors):,} tensors, {total:,} numbers")
    print(f"licence     {network.licence}")
    return EXIT_DONE


def _convert(args: argparse.Namespace) -> int:
    try:
        refuse_existing(args.output, args.if_exists)
        if voice := voice_at(Path(args.input)):
            voice.weights.save(voice.weights.load(args.input), args.output)
            wrote(args.output, f"{voice.name} as safetensors")
            return EXIT_DONE
        if network := windowed_at(Path(args.input)):
            network.save(network.load(args.input, args.variant), args.output)
            wrote(args.output, f"{network.name} as safetensors")
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
