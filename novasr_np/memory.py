"""Keep memory that is freed, for the next arrays of a process that works on many sounds.

The C library gives large blocks back to the system at once, and gets them again, a page at a time
and filled with zeros, for the next array: a good part of the time of a short file.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers of these settings (mallopt(3))
_KEPT = 256 << 20  # bytes that are kept, at most
_LARGEST = 32 << 20  # bytes of a block that may be kept; glibc allows no more


def keep_freed() -> bool:
    """Let this process keep the memory that it frees; whether it does, as it can with glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
