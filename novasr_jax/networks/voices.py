"""The registry of voices: those of `novasr_np.networks.voices` that speak in JAX."""

from . import inflect
from .voice_record import Voice

VOICES: dict[str, Voice] = {voice.name: voice for voice in (inflect.VOICE,)}

__all__ = ["VOICES", "Voice"]
