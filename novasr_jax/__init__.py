"""The networks of `novasr_np` in JAX: compiled, in batches, on CPU, GPU and TPU."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import forward, upsample
    from .fastsr import FastSR
    from .networks.novasr.fast import fold, interior

__all__ = ["FastSR", "fold", "forward", "interior", "upsample"]

# Imported on first use, so that a process that has others compute does without JAX.
_ROOMS = {
    "api": ("forward", "upsample"),
    "fastsr": ("FastSR",),
    "networks.novasr.fast": ("fold", "interior"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            globals()[name] = value = getattr(import_module(f".{room}", __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
