"""Names of a package that are imported on first use."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def on_first_use(
    package: str, rooms: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions ``__getattr__`` and ``__dir__`` of a package.

    rooms: the names that each of its modules, given relative to it, has. They raise AttributeError
    for any other name.
    """
    module = sys.modules[package]

    def getattr_(name: str) -> Any:
        for room, names in rooms.items():
            if name in names:
                value = getattr(import_module(f".{room}", package), name)
                setattr(module, name, value)
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return sorted({*vars(module), *module.__all__})

    return getattr_, dir_
