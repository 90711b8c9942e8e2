"""Formats of sound files, and libsndfile's names for them."""

import os
from functools import cache
from pathlib import Path

import soundfile

from . import ffmpeg

# The command's name for a format -> its suffixes, libsndfile's format and default subtype.
FORMATS = {
    "wav": ((".wav",), "WAV", "PCM_16"),
    "flac": ((".flac",), "FLAC", "PCM_16"),
    "ogg": ((".ogg", ".oga"), "OGG", "VORBIS"),
    "opus": ((".opus",), "OGG", "OPUS"),
    "mp3": ((".mp3",), "MP3", "MPEG_LAYER_III"),
    "aiff": ((".aiff", ".aif"), "AIFF", "PCM_16"),
}
# Suffixes of other files that are searched for in folders: of what libsndfile reads, and ffmpeg.
_BY_LIBSNDFILE = (
    *(".8svx", ".aifc", ".au", ".avr", ".bwf", ".caf", ".htk", ".iff", ".ircam", ".mp1", ".mp2"),
    *(".nist", ".paf", ".pvf", ".rf64", ".sds", ".sf", ".snd", ".sph", ".svx", ".voc", ".w64"),
    *(".wave", ".wve"),
)
_BY_FFMPEG = (
    *(".3g2", ".3gp", ".aac", ".ac3", ".alac", ".amr", ".ape", ".asf", ".avi", ".dts", ".eac3"),
    *(".flv", ".gsm", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mpc", ".mpeg"),
    *(".mpg", ".ogv", ".ra", ".rm", ".spx", ".tak", ".ts", ".tta", ".vob", ".weba", ".webm"),
    *(".wma", ".wmv", ".wv"),
)
# libsndfile's subtypes of more than 16 bits -> the subtype written, where a format has it.
_DEPTHS = {
    "PCM_24": ("PCM_24",),
    "PCM_32": ("PCM_32", "PCM_24"),
    "FLOAT": ("FLOAT", "PCM_24"),
    "DOUBLE": ("FLOAT", "PCM_24"),
}
# Frames read or written at a time. libsndfile's Vorbis encoder overruns its stack on huge ones.
BLOCK = 1 << 16


def check_format(format: str, subtype: str | None = None) -> tuple[str, str]:
    """Translate a format and a subtype into libsndfile's; ValueError for a pair it cannot write."""
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    _, major, default = FORMATS[format]
    subtype = (subtype or default).upper()
    if subtype not in _subtypes(major):
        known = ", ".join(_subtypes(major))
        raise ValueError(f"subtype of {format} must be one of {known}, got {subtype}")
    return major, subtype


@cache
def _subtypes(major: str) -> tuple[str, ...]:
    """Names of the encodings that libsndfile writes in a format."""
    return tuple(soundfile.available_subtypes(major))


def suffixes() -> tuple[str, ...]:
    """Suffixes of the files that can be read here, in lower case."""
    own = tuple(suffix for suffixes, _, _ in FORMATS.values() for suffix in suffixes)
    return own + _BY_LIBSNDFILE + (_BY_FFMPEG if ffmpeg.is_installed() else ())


def needs_ffmpeg(suffix: str) -> bool:
    """Whether only ffmpeg reads the files of a suffix, in lower case."""
    return suffix in _BY_FFMPEG


def same_depth(subtype: str, format: str) -> str:
    """Subtype of a format (a key of FORMATS) with the bit depth of another file's."""
    _, major, default = FORMATS[format]
    known = _subtypes(major)
    return next((depth for depth in _DEPTHS.get(subtype, ()) if depth in known), default)


def format_of(path: Path) -> str | None:
    """Format (a key of FORMATS) that a file name's suffix stands for, or None."""
    suffix = path.suffix.lower()
    return next((name for name, (suffixes, *_) in FORMATS.items() if suffix in suffixes), None)


def path_name(path: Path) -> Path | bytes:
    """Path as bytes, where a system has these: soundfile refuses names that are not Unicode."""
    return os.fsencode(path) if os.name == "posix" else path


def message_of(error: BaseException) -> str:
    """Message of an error that soundfile raised, without the prefix that names the file."""
    return getattr(error, "error_string", "") or str(error) or type(error).__name__
