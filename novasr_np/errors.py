"""Errors raised by the public functions, and their messages.

Bad arrays and arguments raise plain TypeError or ValueError.
"""

import errno

# What to do about errors of the system that name no way out. Windows has no quotas.
_MAKE_ROOM = "free some space, or choose another disk"
_WAYS_OUT = {
    errno.ENOSPC: _MAKE_ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): _MAKE_ROOM,
    errno.EROFS: "choose a folder on another disk",
    errno.EACCES: "change its permissions, or choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow more open files, with ulimit -n",
    errno.ENFILE: "close other programs",
}


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
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        way_out = _WAYS_OUT.get(error.errno or 0)
        return f"{text}; {way_out}" if way_out else text
    return str(error) or type(error).__name__


def printable(text: str) -> str:
    """Escape what does not print, as Python's ``repr`` does; the result is one line.

    A terminal would obey control characters, and marks of direction would reorder the line.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
