"""Inflect-Nano-v1 in JAX."""

from ..voice_record import Voice
from . import model

VOICE = Voice(name="Inflect-Nano-v1", stages=model.stages, speak=model.speak)
