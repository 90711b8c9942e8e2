"""What every bench runs on: the original's weights and speech, from the folder NOVASR_SHARED."""

import os
import sys
from pathlib import Path

import numpy as np
import soundfile

from novasr_np import resample

SHARED = Path(os.environ.get("NOVASR_SHARED") or Path(__file__).parents[2] / "shared")


def upstream(name: str) -> Path:
    """A file of the original's, or an exit that says what is missing."""
    path = SHARED / "upstream" / name
    if not path.exists():
        sys.exit(f"no file {path}: set NOVASR_SHARED to the folder with the reference material")
    return path


def speech(seconds: int) -> np.ndarray:
    """[16000 * seconds] float32 at 16 kHz: the evaluation clips one after another, repeated."""
    clips = []
    for path in sorted((SHARED / "speech" / "eval").glob("*.flac")):
        x, rate = soundfile.read(path, dtype="float32")
        clips.append(resample(x, rate, "upstream"))
    if not clips:
        sys.exit(f"no speech in {SHARED}: set NOVASR_SHARED to the folder with it")
    return np.resize(np.concatenate(clips), 16_000 * seconds)
