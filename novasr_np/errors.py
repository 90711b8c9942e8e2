"""Errors raised by the public functions, and their messages.

Bad arrays and arguments raise plain TypeError or ValueError.
"""


class WeightsError(ValueError):
    """A file or a tree of arrays is not a complete, finite set of weights."""


class AudioError(ValueError):
    """A file is not audio that can be read whole, or cannot be written as asked."""


def missing_extra(what: str, extra: str) -> ModuleNotFoundError:
    """Error for a missing package, with the extra that installs it."""
    return ModuleNotFoundError(f"{what}: pip install 'novasr-np[{extra}]'")


def message(error: BaseException) -> str:
    """Format an error as one line for the user."""
    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def printable(text: str) -> str:
    """Escape what does not print, as Python's ``repr`` does; the result is one line.

    A terminal would obey control characters, and marks of direction would reorder the line.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
