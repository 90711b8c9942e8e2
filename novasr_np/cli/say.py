"""`novasr say`: text to speech."""

import argparse
import codecs
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import speech
from ..files import formats, writing
from ..networks.voices import VOICES, Speech, Voice, find
from . import messages
from .messages import EXIT_DONE, EXIT_SOME_FAILED, usage
from .options import number, refuse_existing

_PLAYERS = (
    ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", "{rate}"),
    ("ffplay", *("-v", "error", "-nodisp", "-autoexit", "-f", "s16le", "-ar", "{rate}", "-")),
    ("play", *("-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r", "{rate}", "-")),
)

_BLOCK = 1 << 16  # bytes of a text that are read at once


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    names = " or ".join(f"{voice.language} by {voice.name}" for voice in VOICES.values())
    p = commands.add_parser(
        "say",
        help=f"speak text: {names}",
        description=f"Speak text, sentence by sentence: {names}. The voice's weights are not part "
        "of the package. At 48 kHz the voice's sound is upsampled by the default network.",
        epilog=" ".join(map(_example, VOICES.values())),
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "text", nargs="?", metavar="TEXT", help="text to speak, or - to read it from standard input"
    )
    source.add_argument("-f", "--file", metavar="FILE", help="file of the text to speak, in UTF-8")
    p.add_argument(
        *("-o", "--output"),
        metavar="OUT",
        help="sound file to write, or - for raw 16-bit samples on standard output; "
        "default: speech.wav",
    )
    p.add_argument(
        "--if-exists",
        choices=("error", "overwrite"),
        default="error",
        help="action when the output exists; default: error",
    )
    p.add_argument(
        "--rate",
        type=int,
        choices=speech.RATES,
        default=speech.WIDE,
        help=f"Hz of the output's sampling rate; default: {speech.WIDE}; the other is the voice's",
    )
    p.add_argument(
        "--speed", type=number, default=1.0, help="factor of the speed: 2 is twice as fast"
    )
    p.add_argument(
        "--pitch", type=number, default=1.0, help="factor of the rise and fall of the pitch"
    )
    p.add_argument("--energy", type=number, default=1.0, help="factor of the energy")
    p.add_argument(
        "--weights",
        metavar="DIR",
        help="weights of a voice. "
        + "; ".join(
            f"{voice.name}: {voice.weights.described} (default: ${voice.weights.variable})"
            for voice in VOICES.values()
        ),
    )
    p.add_argument(
        "--mode",
        choices=list(dict.fromkeys(mode for v in VOICES.values() for mode in v.text.modes)),
        default="fixed",
        help="reading of the text: with the original's mistakes fixed (default), or exactly as the "
        "original",
    )
    p.add_argument(
        "--play", action="store_true", help="play the speech as it comes, by aplay, ffplay or sox"
    )
    p.add_argument(
        "--phones", action="store_true", help="print the phones of the text instead of speaking it"
    )
    p.add_argument(
        "--ids", action="store_true", help="print the network's inputs instead of speaking the text"
    )


def _main(args: argparse.Namespace) -> int:
    try:
        with _text(args) as text:
            return _say(text, args)
    except (OSError, ValueError) as error:
        usage(error)


def _say(text: Iterable[str], args: argparse.Namespace) -> int:
    if args.phones or args.ids:
        return _show(find(args.weights), text, args)
    manner = Speech(args.speed, args.pitch, args.energy, args.mode)
    sentences = speech.spoken(text, weights=args.weights, sample_rate=args.rate, speech=manner)
    if args.play:
        return _play(sentences, args.rate)
    if args.output == "-":
        for y in _samples(sentences):
            sys.stdout.buffer.write(_as_16_bits(y))
            sys.stdout.buffer.flush()
        return EXIT_DONE
    return _write(sentences, args)


@contextmanager
def _text(args: argparse.Namespace) -> Iterator[Iterable[str]]:
    """Open the text to speak, in parts. Raises OSError, and ValueError in a part as `_decoded`."""
    if args.file:
        with open(args.file, "rb") as file:
            yield _decoded(file, args.file)
    elif args.text == "-":
        yield _decoded(sys.stdin.buffer, "standard input")
    else:
        yield [args.text]


def _decoded(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield a file's text in parts. Raises ValueError for bytes that are not UTF-8."""
    decoder, position, data = codecs.getincrementaldecoder("utf-8")(), 0, b" "
    while data:
        data = file.read(_BLOCK)
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            start = position - waiting + error.start
            raise ValueError(f"{name}: byte {start} is not UTF-8 text") from error
        position += len(data)


def _samples(sentences: Iterator[speech.Sentence]) -> Iterator[np.ndarray]:
    """Yield the sentences' samples, and report the words that were not spoken."""
    for sentence in sentences:
        if sentence.lost:
            messages.say(f"novasr: {sentence.lost}")
        if sentence.samples.size:
            yield sentence.samples


def _write(sentences: Iterator[speech.Sentence], args: argparse.Namespace) -> int:
    path = args.output or "speech.wav"
    format = formats.format_of(Path(path))
    if format is None:
        raise ValueError(f"the output must end in {', '.join(formats.FORMATS)}, got {path}")
    refuse_existing(path, args.if_exists)
    with writing.writing(Path(path), args.rate, 1, format) as file:
        for y in _samples(sentences):
            file.write(y[np.newaxis])
        seconds = file.frames / args.rate
    messages.wrote(path, f"{seconds:.1f} s of speech")
    return EXIT_DONE


def _play(sentences: Iterator[speech.Sentence], rate: int) -> int:
    found = next((line for line in _PLAYERS if shutil.which(line[0])), None)
    if found is None:
        names = ", ".join(line[0] for line in _PLAYERS)
        raise ValueError(f"--play needs one of the programs {names}: install one of them")
    command = [part.format(rate=rate) for part in found]
    with ExitStack() as stack:
        player = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
        assert player.stdin
        try:
            for y in _samples(sentences):
                player.stdin.write(_as_16_bits(y))
                player.stdin.flush()
        except BrokenPipeError:
            pass
        player.stdin.close()
    if player.returncode:
        messages.say(f"novasr: {found[0]} ended with exit status {player.returncode}")
        return EXIT_SOME_FAILED
    return EXIT_DONE


def _show(voice: Voice, text: Iterable[str], args: argparse.Namespace) -> int:
    front_end = voice.text
    if args.mode == "exact":
        parts = iter([speech.utterance(text)])
    else:
        parts = front_end.sentences(text, front_end.max_tokens, None)
    for part in parts:
        reading = front_end.read(part, args.mode, None)
        if args.phones:
            messages.show(reading.transcript)
        if args.ids:
            for name, ids in reading.ids.items():
                messages.show(" ".join([f"{name:8}", *map(str, ids)]))
        for name, lost in (
            ("spelled by its letters", reading.spelled),
            ("no sound", reading.unspoken),
        ):
            if lost:
                messages.say(f"novasr: {name}: {', '.join(dict.fromkeys(lost))}")
    return EXIT_DONE


def _example(voice: Voice) -> str:
    files = voice.weights
    return f"{files.fetch}; novasr say --weights {files.folder} 'Hello.' -o hello.wav"


def _as_16_bits(y: np.ndarray) -> bytes:
    return np.clip(np.rint(y * 32767), -32768, 32767).astype("<i2").tobytes()
