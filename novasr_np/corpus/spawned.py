"""Start processes, and give them memory and values of any size."""

import os
import pickle
import tempfile
from collections.abc import Callable
from multiprocessing import get_context, reduction
from multiprocessing.process import BaseProcess
from typing import Any

from ..files.signals import blocked_signals


def start(name: str, target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls ``target(*arguments)``, and ends with this one at the latest.

    arguments: small ones; wrap others in `Parcel`. No signal that ends a run reaches the process.
    """
    process = get_context("spawn").Process(target=target, args=arguments, name=name, daemon=True)
    with blocked_signals():
        process.start()
    return process


class Parcel:
    """Value that arrives in processes as itself, by way of a file.

    What `start` itself hands over goes through a pipe that this process reads, too: were a process
    killed before it has read all, this one would write to it for ever.
    """

    def __init__(self, value: Any) -> None:
        data = pickle.dumps(value)
        self._size = len(data)
        self._descriptor = unnamed_file(self._size)
        os.pwrite(self._descriptor, data, 0)

    def __reduce__(self) -> tuple:
        return _opened, (reduction.DupFd(self._descriptor), self._size)

    def close(self) -> None:
        """Free the memory, once all processes that get the value have been started."""
        os.close(self._descriptor)


def _opened(handle: Any, size: int) -> Any:
    descriptor = handle.detach()
    try:
        return pickle.loads(os.pread(descriptor, size, 0))
    finally:
        os.close(descriptor)


def unnamed_file(size: int) -> int:
    """Open a file in memory that is gone with the last process that has it, however that ends.

    multiprocessing's `SharedMemory` has a name, which processes that are killed leave behind, and
    lies in /dev/shm, of which containers have 64 MB.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("novasr")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
