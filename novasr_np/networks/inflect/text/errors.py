"""The error of a text that cannot be said."""


class TextError(ValueError):
    """A text or a number in it that cannot be put into words as asked."""
