"""What goes wrong at the doors. Bad arrays and arguments raise plain TypeError or ValueError."""


class WeightsError(ValueError):
    """A file or tree of arrays is not a complete, finite set of NovaSR weights."""


class AudioError(ValueError):
    """A file is not audio that can be read whole, or cannot be written as asked."""
