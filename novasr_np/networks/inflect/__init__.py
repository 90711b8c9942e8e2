"""Inflect-Nano-v1: English text to speech at 24 kHz, by an acoustic model and a vocoder."""

from typing import Any

import numpy as np

from ..voice_record import Files, FrontEnd, Speech, Voice
from . import load, model, spec, text


def _speak(prepared: model.Prepared, reading: Any, speech: Speech) -> tuple[np.ndarray, int]:
    prosody = spec.Prosody(speech.length, speech.pitch, speech.energy)
    return model.speak(prepared, reading.ids.values(), prosody)


VOICE = Voice(
    name=load.NAME,
    language="English",
    sample_rate=spec.SAMPLE_RATE,
    max_frames=spec.MAX_FRAMES,
    weights=Files(
        described="folder of the original's two files, or a safetensors file",
        variable=load.VARIABLE,
        fetch=load.FETCH,
        folder=load.FOLDER,
        holds=load.holds,
        load=load.load,
        save=load.save,
        describe=load.describe,
    ),
    text=FrontEnd(
        modes=text.MODES,
        min_tokens=text.MIN_TOKENS,
        max_tokens=text.MAX_TOKENS,
        sentences=text.sentences,
        read=text.to_ids,
    ),
    stages=model.stages,
    prepare=model.prepare,
    speak=_speak,
)
