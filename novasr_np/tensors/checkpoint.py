"""Read an original's checkpoint, a zip of one pickle and raw storages, without torch.

The pickle is not executed. `_interpret` walks its opcodes as plain data, and knows only those that
a state dict, a configuration and an optimiser's state need. It accepts only the names that mean
"a dict", "a tensor", "float16" and "float32", and refuses any other name. Only the storages of the
weights are read.
"""

import math
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import WeightsError

_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_DTYPES: dict[str, np.dtype] = {
    "torch HalfStorage": np.dtype("<f2"),
    "torch FloatStorage": np.dtype("<f4"),
}
# Keys under which the weights may be, beside an optimiser's state and so on.
_STATES = ("model", "state_dict", "generator")
_MAX_PICKLE = 1 << 24  # bytes

# Members that torch.save puts into the zip, without the name of the top folder.
_MEMBER = re.compile(
    r"[^/]+/(data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id)"
)


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    shape: tuple[int, ...]


class _Mark:
    """The pickle's MARK, a position on its stack."""


def read_checkpoint(
    file: BinaryIO,
    most: int,
    choose: Callable[[Mapping[str, tuple[int, ...]]], Iterable[str]] | None = None,
) -> dict[str, np.ndarray]:
    """Read the tensors of a torch checkpoint, under its names, float16 or float32.

    The state dict may be the whole checkpoint, or under one of the keys `_STATES`, beside other
    entries, which are not read. most: limit for the tensors' total bytes. choose: called with all
    names and shapes before any tensor is read, returns the names to read, and may raise; None reads
    all.

    Raises WeightsError if it is not such a checkpoint, names anything but plain tensors, is
    compressed, encrypted or truncated, or larger than `most`.
    """
    with _opened(file) as (archive, members, whole):
        state = _state(whole)
        if choose is not None:
            wanted = choose({name: t.shape for name, t in state.items()})
            state = {name: state[name] for name in wanted}
        if sum(t.storage.numbers * t.storage.dtype.itemsize for t in state.values()) > most:
            raise WeightsError(f"the checkpoint's tensors must have at most {most} bytes")
        return {name: _array(name, t, archive, members) for name, t in state.items()}


def read_entries(file: BinaryIO) -> dict[str, Any]:
    """Read the entries beside a torch checkpoint's state dict by name: its configuration and so on.

    They are numbers, text, lists, tuples and dicts; tensors in them are not read, and what stands
    for them has no meaning. Raises WeightsError as `read_checkpoint`.
    """
    with _opened(file) as (_, _, whole):
        if not isinstance(whole, dict):
            raise WeightsError("the checkpoint is not a dict by names")
        return {name: entry for name, entry in whole.items() if name not in _STATES}


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo], Any]]:
    """Open a checkpoint: the archive, its members and its pickle as data. Raises WeightsError."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, file.seek(0, 2))
            if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
                raise WeightsError("the checkpoint must be little-endian, got big-endian")
            if members["data.pkl"].file_size > _MAX_PICKLE:
                raise WeightsError(
                    f"the checkpoint's pickle must have at most {_MAX_PICKLE} bytes, got more"
                )
            yield archive, members, _interpreted(archive.read(members["data.pkl"]))
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
        raise WeightsError(f"not a complete checkpoint zip: {error}") from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """List the zip's members without their top folder: all stored, none larger than the file."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    tops = {name.split("/")[0] for name in names}
    if len(set(names)) != len(names) or len(tops) != 1:
        raise WeightsError(
            "the checkpoint zip is empty, or has a name twice, or several top folders"
        )
    for info in infos:
        if not _MEMBER.fullmatch(info.filename):
            raise WeightsError(f"unexpected member {info.filename!r} in the checkpoint")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise WeightsError(f"member {info.filename!r} is compressed or encrypted")
    # Stored members cannot unpack to more bytes than they have; overlapping ones could.
    if sum(info.file_size for info in infos) > size:
        raise WeightsError("checkpoint zip claims more data than it has")
    members = {info.filename.split("/", 1)[1]: info for info in infos}
    if "data.pkl" not in members:
        raise WeightsError("not a torch checkpoint: the zip has no data.pkl")
    return members


def _interpreted(pickle: bytes) -> Any:
    """Interpret a checkpoint's pickle. Raises WeightsError."""
    try:
        return _interpret(pickle)
    except WeightsError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise WeightsError(f"malformed pickle in the checkpoint: {error}") from error


def _state(state: Any) -> dict[str, _Tensor]:
    """Find the tensors of a checkpoint's state dict by name. Raises WeightsError."""
    if isinstance(state, dict):
        state = next((state[name] for name in _STATES if isinstance(state.get(name), dict)), state)
    if not isinstance(state, dict) or not all(isinstance(t, _Tensor) for t in state.values()):
        raise WeightsError("the checkpoint is not a flat dict of tensors by name")
    if not all(isinstance(name, str) for name in state):
        raise WeightsError("the checkpoint's tensors have no names")
    return state


def _interpret(pickle: bytes) -> Any:
    """Walk a checkpoint's pickle; nothing in it is imported or called."""
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
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "NONE":
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
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND":
                item = stack.pop()
                _extend(stack[-1], [item])
            case "APPENDS":
                items = pop_to_mark()
                _extend(stack[-1], items)
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
                if argument not in (_DICT, _TENSOR, *_DTYPES):
                    raise WeightsError(
                        f"refused: the checkpoint names {argument.replace(' ', '.')!r}; only "
                        "float16 and float32 tensors in a dict are read, and nothing is executed"
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
            case "BUILD":  # torch attaches module versions to the dict, which are not needed
                stack.pop()
            case name:
                raise WeightsError(f"refused: pickle opcode {name} in the checkpoint")
    (state,) = stack
    return state


def _extend(target, items) -> None:
    if not isinstance(target, list):
        raise WeightsError("the checkpoint's pickle appends to an object that is no list")
    target.extend(items)


def _put(target, items) -> None:
    # Text and numbers as keys: Python's hash of a deeply nested tuple overruns the C stack.
    if not isinstance(target, dict) or not all(type(key) in (str, int) for key in items[::2]):
        raise WeightsError("the checkpoint's pickle is not a dict by names")
    target.update(zip(items[::2], items[1::2], strict=True))


def _storage(reference) -> _Storage:
    kind, dtype, key, _location, numbers = reference
    known = _DTYPES.get(dtype) if kind == "storage" and isinstance(dtype, str) else None
    if known is None or type(key) is not str or type(numbers) is not int:
        raise WeightsError("the checkpoint must hold only storages of numbers, got another object")
    return _Storage(known, key, numbers)


def _tensor(storage, offset, shape, stride, _requires_grad, _hooks) -> _Tensor:
    # Sizes are checked before they are multiplied: a product with a list would be a huge list.
    if (
        type(shape) is not tuple
        or len(shape) > 4
        or not all(type(size) is int and size > 0 for size in shape)
    ):
        raise WeightsError("the checkpoint holds a tensor with an invalid shape")
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if not isinstance(storage, _Storage) or offset != 0 or stride != contiguous:
        raise WeightsError("the checkpoint holds a tensor that is not contiguous")
    if math.prod(shape) != storage.numbers:
        raise WeightsError(
            f"a tensor of shape {shape} does not fit its storage of {storage.numbers} numbers"
        )
    return _Tensor(storage, shape)


def _array(
    name: str,
    tensor: _Tensor,
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
) -> np.ndarray:
    dtype, key, numbers = tensor.storage
    member = members.pop(f"data/{key}", None)
    if member is None or member.file_size != numbers * dtype.itemsize:
        raise WeightsError(
            f"tensor {name!r} wants {numbers * dtype.itemsize} bytes, the "
            f"checkpoint has {'none of its own' if member is None else member.file_size}"
        )
    raw = np.frombuffer(archive.read(member), dtype)
    return raw.astype(dtype.newbyteorder("=")).reshape(tensor.shape)
