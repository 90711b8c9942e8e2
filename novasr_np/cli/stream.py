"""`novasr stream`: upsample raw samples through a pipe."""

import argparse
import os
import sys
from typing import Any

import numpy as np

from ..api import Stream
from ..files.signals import deferred_signals
from ..pipeline.look import edge_note
from ..weights import LIVE, load_weights
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say, usage
from .options import add_network, positive

_RAW: dict[str, np.dtype] = {
    "f32": np.dtype("<f4"),
    "s16": np.dtype("<i2"),
}  # samples on the pipes of `stream`
_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3")
_READ_BYTES = 1 << 16  # at most, from a pipe at a time


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "stream",
        help="upsample raw samples from standard input to standard output, as they come",
        description="Upsample raw samples, little-endian and with interleaved channels, from "
        "standard input to standard output as they come.",
        epilog="arecord -t raw -f S16_LE -r 16000 | novasr stream --input s16 --output s16 | "
        "aplay -t raw -f S16_LE -r 48000",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    add_network(p, LIVE, follow=True)
    p.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="number of threads; default: 1"
    )
    p.add_argument(
        "--rate",
        type=positive,
        metavar="HZ",
        help="Hz of the input's sampling rate; default: the network's, 16000",
    )
    p.add_argument(
        "--channels",
        type=positive,
        default=1,
        metavar="N",
        help="number of channels; default: 1",
    )
    p.add_argument(
        "--input",
        choices=tuple(_RAW),
        default="f32",
        help="type of the input's samples, 32-bit float or 16-bit integer; default: f32",
    )
    p.add_argument(
        "--output",
        choices=tuple(_RAW),
        default="f32",
        help="type of the output's samples, 32-bit float or 16-bit integer; default: f32",
    )


def _main(args: argparse.Namespace) -> int:
    try:
        loaded = load_weights(LIVE if args.weights is None else args.weights)
        rate = loaded.network.rate_in if args.rate is None else args.rate
        stream = Stream(
            loaded,
            rate,
            args.channels,
            resampler=args.resampler,
            keep_lowband=args.keep_lowband,
            edge=args.edge,
            threads=args.threads,
        )
    except (OSError, ValueError, ModuleNotFoundError, MemoryError) as error:
        usage(error)
    if note := edge_note(loaded.network, rate, None):
        say(f"standard input: {note}")
    dtype, out = _RAW[args.input], _RAW[args.output]
    frame = dtype.itemsize * args.channels
    rest, begun = b"", False
    try:
        while True:
            data = os.read(sys.stdin.fileno(), _READ_BYTES)
            if not begun and data.startswith(_MAGIC):
                raise ValueError(
                    "standard input must be raw samples, got a sound file: "
                    "novasr upsample - takes it"
                )
            rest, begun = rest + data, True
            whole = len(rest) - len(rest) % frame
            x = np.frombuffer(rest[:whole], dtype).reshape(-1, args.channels).T
            rest = rest[whole:]
            with deferred_signals():
                y = stream.push(x, last=not data).T
            if out.kind == "i":
                y = np.clip(np.rint(y * 32767), -32768, 32767)
            sys.stdout.buffer.write(y.astype(out).tobytes())
            sys.stdout.buffer.flush()
            if not data:
                break
        if rest:
            raise ValueError(
                f"the input must end with a whole frame of {frame} bytes, got {len(rest)} of them"
            )
    except (ValueError, MemoryError) as error:
        hint = (
            "; if they are 16-bit samples: --input s16"
            if "audio must be finite" in str(error)
            else ""
        )
        say(f"novasr: {error}{hint if args.input == 'f32' else ''}")
        return EXIT_SOME_FAILED
    return EXIT_DONE
