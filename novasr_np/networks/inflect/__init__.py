"""Inflect-Nano-v1: English text at 24 kHz, by an acoustic model and a vocoder."""
