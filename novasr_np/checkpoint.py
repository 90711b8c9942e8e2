"""Read the original's checkpoint, a zip of one pickle and raw float16 storages, without torch.

The pickle is not executed. `_interpret` walks its opcodes as plain data and knows only the
twenty or so that a state dict needs; the three names it may mention stand for "a dict", "a
tensor" and "float16", and any other name is refused.
"""

import io
import math
import pickletools
import re
import struct
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np

from .errors import WeightsError

_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_HALF = "torch HalfStorage"
_BYTES_EACH = 2

# What torch.save puts into the zip, beside its one top folder's name.
_MEMBER = re.compile(
    r"[^/]+/(data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id)"
)


class _Storage(NamedTuple):
    key: str
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    shape: tuple[int, ...]


class _Mark:
    """The pickle's MARK, a place on its stack."""


def read_checkpoint(data: bytes) -> dict[str, np.ndarray]:
    """Tensors of a torch checkpoint under the names it gives them, float16.

    `data` is to be of bounded size. Raises WeightsError if it is not such a checkpoint, names
    anything but plain float16 tensors, is compressed, encrypted or truncated.
    """
    members = _members(data)
    if members.pop("byteorder", b"little") != b"little":
        raise WeightsError("checkpoint is not little-endian")
    try:
        state = _interpret(members.pop("data.pkl"))
    except WeightsError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise WeightsError(f"malformed pickle in the checkpoint: {error}") from error
    return {name: _array(name, tensor, members) for name, tensor in state.items()}


def _members(data: bytes) -> dict[str, bytes]:
    """The zip's members without their top folder, all stored, none larger than the file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            tops = {name.split("/")[0] for name in names}
            if len(set(names)) != len(names) or len(tops) != 1:
                raise WeightsError("checkpoint zip is empty or has doubled names or top folders")
            for info in infos:
                if not _MEMBER.fullmatch(info.filename):
                    raise WeightsError(f"unexpected member {info.filename!r} in the checkpoint")
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise WeightsError(f"member {info.filename!r} is compressed or encrypted")
            # Stored members cannot unpack to more than they take up; overlapping ones could.
            if sum(info.file_size for info in infos) > len(data):
                raise WeightsError("checkpoint zip claims more data than it has")
            members = {name.split("/", 1)[1]: archive.read(name) for name in names}
    except WeightsError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        raise WeightsError(f"not a whole checkpoint zip: {error}") from error
    if "data.pkl" not in members:
        raise WeightsError("not a torch checkpoint: the zip has no data.pkl")
    return members


def _interpret(pickle: bytes) -> dict[str, _Tensor]:
    """Walk the pickle of a state dict; nothing in it is imported or called."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def pop_to_mark() -> list[Any]:
        items: list[Any] = []
        while (item := stack.pop()) is not _Mark:
            items.append(item)
        return items[::-1]

    argument: Any
    for opcode, argument, _ in pickletools.genops(pickle):
        match opcode.name:
            case "PROTO" | "STOP":
                pass
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "MARK":
                stack.append(_Mark)
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _put(stack[-1], [key, value])
            case "SETITEMS":
                items = pop_to_mark()
                _put(stack[-1], items)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                if argument not in (_DICT, _TENSOR, _HALF):
                    raise WeightsError(
                        f"refused: the checkpoint names {argument.replace(' ', '.')!r}; only "
                        f"float16 tensors in a dict are read, and nothing is executed"
                    )
                stack.append(argument)
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments, name = stack.pop(), stack.pop()
                if name == _DICT and arguments == ():
                    stack.append({})
                elif name == _TENSOR:
                    stack.append(_tensor(*arguments))
                else:
                    raise WeightsError("refused: the checkpoint's pickle calls something")
            case "BUILD":  # torch hangs module versions on the dict; of no use here
                stack.pop()
            case name:
                raise WeightsError(f"refused: pickle opcode {name} in the checkpoint")
    (state,) = stack
    if not isinstance(state, dict) or not all(isinstance(t, _Tensor) for t in state.values()):
        raise WeightsError("the checkpoint is not a flat dict of tensors by name")
    return state


def _put(target, items) -> None:
    # Only text as keys: Python's hash of a deeply nested tuple overruns the C stack.
    if not isinstance(target, dict) or not all(isinstance(key, str) for key in items[::2]):
        raise WeightsError("the checkpoint's pickle is not a dict by names")
    target.update(zip(items[::2], items[1::2], strict=True))


def _storage(reference) -> _Storage:
    kind, dtype, key, _location, numbers = reference
    if (kind, dtype) != ("storage", _HALF) or type(key) is not str or type(numbers) is not int:
        raise WeightsError("the checkpoint holds something else than float16 storages")
    return _Storage(key, numbers)


def _tensor(storage, offset, shape, stride, _requires_grad, _hooks) -> _Tensor:
    # Sizes are checked before they are multiplied: a product with a list would be a huge list.
    if (
        type(shape) is not tuple
        or len(shape) > 3
        or not all(type(size) is int and size > 0 for size in shape)
    ):
        raise WeightsError("the checkpoint holds a tensor of no sensible shape")
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if not isinstance(storage, _Storage) or offset != 0 or stride != contiguous:
        raise WeightsError("the checkpoint holds a tensor that is not contiguous")
    if math.prod(shape) != storage.numbers:
        raise WeightsError(f"a tensor of shape {shape} lies on {storage.numbers} numbers")
    return _Tensor(storage, shape)


def _array(name: str, tensor: _Tensor, members: dict[str, bytes]) -> np.ndarray:
    raw = members.pop(f"data/{tensor.storage.key}", None)
    if raw is None or len(raw) != tensor.storage.numbers * _BYTES_EACH:
        raise WeightsError(
            f"tensor {name!r} wants {tensor.storage.numbers * _BYTES_EACH} bytes, the "
            f"checkpoint has {'none of its own' if raw is None else len(raw)}"
        )
    return np.frombuffer(raw, "<f2").astype(np.float16).reshape(tensor.shape)
