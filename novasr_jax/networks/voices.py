"""The registry of the voices of `novasr_np.networks.voices` that exist in JAX."""

from . import inflect
from .voice_record import Voice

VOICES: dict[str, Voice] = {voice.name: voice for voice in (inflect.VOICE,)}

__all__ = ["VOICES", "Voice"]
