"""One way for a sound: look, cut, compute, mix."""
