"""Inflect-Nano-v1 in JAX."""
