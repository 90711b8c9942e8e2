"""The steps from a sound to its output: look, cut, compute, mix."""
