"""The error for a text that cannot be spoken."""


class TextError(ValueError):
    """A text, or a number in it, cannot be converted to words as requested."""
