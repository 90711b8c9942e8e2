"""`novasr plugin`: build the LADSPA plugin, for calls and players."""

import argparse
import subprocess
from pathlib import Path
from typing import Any

from ..native import build
from .messages import EXIT_DONE, say, usage, wrote
from .options import add_if_exists, refuse_existing

_NAME = "novasr.so"


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "plugin",
        help="build a LADSPA plugin, for ffmpeg, sox, Audacity and PipeWire (needs a C compiler)",
        description=f"Build {_NAME}, a LADSPA plugin with the networks and their weights inside, "
        "for this processor. The compiler is $CC, or else cc, clang or gcc; $CFLAGS are put behind "
        "its flags.",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument(
        "folder",
        nargs="?",
        default="~/.ladspa",
        metavar="DIR",
        help="folder to put it into; default: ~/.ladspa, where hosts look for it",
    )
    add_if_exists(p)


def _main(args: argparse.Namespace) -> int:
    # ffmpeg takes a relative path for a name.
    path = Path(args.folder).expanduser().resolve() / _NAME
    try:
        refuse_existing(str(path), args.if_exists)
        build.plugin(path)
    except OSError as error:
        usage(error)
    except subprocess.CalledProcessError as error:  # the compiler has said why
        usage(OSError(f"{error.cmd[0]} exited with {error.returncode}"))
    wrote(str(path), "LADSPA, novasr_mono and novasr_stereo")
    say(f"ffmpeg -i call.wav -af aresample=48000,ladspa={path}:novasr_mono:latency=1 call_48k.wav")
    say("In PipeWire and Audacity choose novasr_stereo; edge 0 follows where the sound ends.")
    return EXIT_DONE
