"""Every public door takes numpy's scalars like Python's, and refuses what is none, with its value.

The doors and their parameters are found by their signatures: one that is new has to be named here.
"""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import novasr_np
from novasr_np.networks import NETWORKS
from novasr_np.networks.flashsr.options import Settings
from novasr_np.networks.flashsr.spec import ROW
from novasr_np.networks.voices import VOICES, Speech
from novasr_np.pipeline import backend
from novasr_np.plugins.comfyui.nodes import NovaSRUpsample
from novasr_np.speech import spoken
from novasr_np.weights import LIVE

X = np.sin(np.arange(60)).astype(np.float32)
OPEN = novasr_np.load_weights("novasr-open")
ANY_BAND = novasr_np.load_weights(LIVE)  # for the parameters of networks that take any


class Kind(NamedTuple):
    """Kind of number: the types that give the same, and what is refused."""

    types: tuple[Callable[[Any], Any], ...]
    refused: tuple[Any, ...]


_NO_NUMBER = "12", [12], 12j, np.array([12]), np.str_("12"), np.nan, np.inf
_REALS = np.float32, np.float64, np.array, np.longdouble
WHOLE = Kind(
    (np.int16, np.int64, np.uint16, float, *_REALS),
    (*_NO_NUMBER, True, np.True_, np.array(True), 16_000.5, np.float32(2.5), np.array(-np.inf), -1),
)
FACTOR = Kind(_REALS, (*_NO_NUMBER, True, np.True_, None))
HERTZ_OR_SWITCH = Kind((np.int16, *_REALS), (*_NO_NUMBER, 0, -1, "on"))
EDGE = Kind((np.int16, *_REALS), (*_NO_NUMBER, True, 0, -1, "on"))
SWITCH = Kind((np.int16, *_REALS), (*_NO_NUMBER, 0, -1, "on"))
EDGE = Kind(_REALS, (*_NO_NUMBER, True, 0, -1, "on"))
SWITCH = Kind((np.bool_, np.array, int), (2, 0.5, "no", [True], None, np.nan))

# Every parameter with a number or a switch: its kind, and the values to try
NUMBERS: dict[str, tuple[Kind, tuple[Any, ...]]] = {
    "sample_rate": (WHOLE, (24_000,)),
    "new_rate": (WHOLE, (22_050,)),
    **dict.fromkeys(("channels", "threads"), (WHOLE, (2,))),
    **dict.fromkeys(("block", "segment"), (WHOLE, (500,))),
    "batch": (WHOLE, (8,)),
    "seed": (WHOLE, (5,)),
    "timestep": (WHOLE, (990,)),
    "overlap": (WHOLE, (2 * ROW,)),
    "fade": (WHOLE, (ROW,)),
    **dict.fromkeys(("speed", "pitch", "energy"), (FACTOR, (1.5, 2))),
    "keep_lowband": (HERTZ_OR_SWITCH, (3000, True, False)),
    "low_pass": (HERTZ_OR_SWITCH, (3000,)),
    "edge": (EDGE, (3000,)),
    **dict.fromkeys(("last", "half", "exact_windows", "shared"), (SWITCH, (True, False))),
}
# Every other: arrays, names, paths, files, and what the networks' own doors take by name.
# fmt: off
OTHERS = {
    "audio", "audio_file", "chunk", "ckpt_path", "compilation_cache", "condition", "device",
    "devices", "dtype", "length", "licence", "lowres_wav", "mode", "options", "p", "params",
    "path", "place", "precision", "pronouncer", "provenance", "resampler", "schedule",
    "source", "speech", "text", "variant", "weights", "weights_file", "x", "y",
}
# fmt: on


NODE = "novasr_np.plugins.comfyui.nodes.NovaSRUpsample.run"


class Tensor(np.ndarray):
    """As much of a torch tensor as the node for ComfyUI asks for."""

    def new_tensor(self, value):
        return np.asarray(value)


def node(**options):
    rate = options.pop("sample_rate", 16_000)
    audio = {"waveform": X.reshape(1, 1, -1).view(Tensor), "sample_rate": rate}
    return NovaSRUpsample().run(audio, "novasr-open", **({"keep_lowband": False} | options))


def streamed(**options):
    with novasr_np.Stream(ANY_BAND if "edge" in options else OPEN, **options) as stream:
        y = stream.push(np.tile(X, (stream.channels, 1)), last=True)
        return y, stream.sample_rate, stream.channels


def opened(made):
    with made.open(OPEN) as runner:
        return runner.block, runner.chunk


# How the doors with numbers are called, by their names; options replace these.
CALLS: dict[str, Callable[..., Any]] = {
    "novasr_np.upsample": lambda **o: novasr_np.upsample(
        X, weights=ANY_BAND if "edge" in o else OPEN, **o
    ),
    "novasr_np.forward": lambda **o: novasr_np.forward(ANY_BAND, X, **o),
    "novasr_np.stages": lambda **o: dict(novasr_np.stages(ANY_BAND, X, **o))["y"],
    "novasr_np.resample": lambda **o: novasr_np.resample(X, **{"sample_rate": 16_000, **o}),
    "novasr_np.Stream": streamed,
    "novasr_np.Stream.push": lambda **o: novasr_np.Stream(OPEN).push(X, **o),
    "novasr_np.say": lambda **o: novasr_np.say("Hello.", **o),
    "novasr_np.FastSR": lambda **o: novasr_np.FastSR(OPEN, **o).half,
    "novasr_np.speech.spoken": lambda **o: [part.samples for part in spoken("Hello.", **o)],
    "novasr_np.networks.voice_record.Speech": Speech,
    "novasr_np.pipeline.backend.Backend": lambda **o: opened(backend.Backend(**o)),
    "novasr_np.networks.flashsr.options.Settings": lambda **o: NETWORKS["FlashSR"].choose(o),
    NODE: node,
}
OUTSIDE = [spoken, Speech, backend.Backend, Settings, NovaSRUpsample.run]  # not in an ``__all__``
TAKE_ARRAYS: list[Callable[[Any], Any]] = [
    lambda x: novasr_np.upsample(x, weights=OPEN),
    lambda x: novasr_np.forward(OPEN, x),
    lambda x: list(novasr_np.stages(OPEN, x)),
    lambda x: novasr_np.resample(x, 24_000),
    novasr_np.count_saturated,
    lambda x: novasr_np.Stream(OPEN).push(x),
    lambda x: novasr_np.FastSR(OPEN).infer(x),
]

if importlib.util.find_spec("jax"):
    import novasr_jax
    import novasr_jax.backend

    OUTSIDE += [novasr_jax.backend.Backend]
    TAKE_ARRAYS += [lambda x: novasr_jax.forward(OPEN, x)]
    CALLS |= {
        # No samples, so that nothing is compiled: the numbers are checked before any are computed.
        "novasr_jax.upsample": lambda **o: novasr_jax.upsample(
            X[:0], weights=ANY_BAND if "edge" in o else OPEN, **o
        ),
        "novasr_jax.forward": lambda **o: np.asarray(novasr_jax.forward(ANY_BAND, X, **o)),
        "novasr_jax.FastSR": lambda **o: novasr_jax.FastSR(OPEN, **o).half,
        "novasr_jax.backend.Backend": lambda **o: opened(novasr_jax.backend.Backend(**o)),
    }


def doors():
    """Name and function of every public function, class and method."""
    for module in (novasr_np, *([novasr_jax] if importlib.util.find_spec("jax") else ())):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and issubclass(thing, Exception):
                continue
            if callable(thing):
                yield f"{module.__name__}.{name}", thing
            for method, function in inspect.getmembers(thing, inspect.isfunction):
                if inspect.isclass(thing) and not method.startswith("_"):
                    yield f"{module.__name__}.{name}.{method}", function
    yield from ((f"{f.__module__}.{f.__qualname__}", f) for f in OUTSIDE)


DOORS = dict(doors())
PLACES = [(d, p) for d, f in DOORS.items() for p in inspect.signature(f).parameters if p in NUMBERS]
PLACES = [place for place in PLACES if place != ("novasr_jax.forward", "edge")]  # JAX's own array


@pytest.fixture(autouse=True)
def _voice(monkeypatch):
    """A voice whose samples show how it was asked to speak; its weights are not needed."""
    voice = next(iter(VOICES.values()))

    def speak(weights, reading, manner):
        return np.float32([manner.length, manner.pitch, manner.energy] * 100), 1

    files = voice.weights._replace(load=lambda _: {}, variable="NOVASR_NO_SUCH_VARIABLE")
    other = replace(voice, weights=files, prepare=lambda weights: weights, speak=speak)
    monkeypatch.setitem(VOICES, voice.name, other)


def same(got, want):
    """Whether two results are equal, types of their numbers included."""
    if isinstance(want, np.ndarray):
        return got.dtype == want.dtype and np.array_equal(got, want)
    if type(want) in (tuple, list):
        return len(got) == len(want) and all(map(same, got, want))
    return repr(got) == repr(want)


def test_every_parameter_of_every_door_is_known():
    for door, function in DOORS.items():
        names = set(inspect.signature(function).parameters) - {"self"}
        assert names <= NUMBERS.keys() | OTHERS, (door, names - NUMBERS.keys() - OTHERS)


@pytest.mark.parametrize(("door", "name"), [*PLACES, (NODE, "sample_rate")])
def test_numbers_of_numpy_are_like_pythons(door, name):
    if name == "low_pass":
        pytest.importorskip("scipy")
    call, (kind, values) = CALLS[door], NUMBERS[name]
    for value in values:
        want = call(**{name: value})
        # A switch among numbers comes as one of numpy's, too.
        types = SWITCH.types[:2] if isinstance(value, bool) else kind.types
        for of_type in types:
            assert same(call(**{name: of_type(value)}), want), of_type
    for bad in kind.refused:
        with pytest.raises((TypeError, ValueError), match=r"must be .*, got "):
            call(**{name: bad})


def generator():
    yield from X


@pytest.mark.parametrize("take", TAKE_ARRAYS)
def test_what_is_no_array_is_refused_with_its_type(take):
    for bad, words in (
        (generator(), "generator"),
        ({}, "dict"),
        ([[1.0], [1.0, 2.0]], "differ in length|inhomogeneous|sequence"),
    ):
        with pytest.raises(TypeError, match=f"must be an array.*{words}"):
            take(bad)


@pytest.mark.parametrize("take", TAKE_ARRAYS)
def test_masked_values_are_refused(take):
    masked = np.ma.masked_greater(X, 0.5)
    with pytest.raises(ValueError, match="no masked values, got 21"):
        take(masked)


def test_empty_batches_are_empty():
    for shape in ((0,), (0, 60), (2, 0, 60), (2, 0)):
        y = novasr_np.upsample(np.zeros(shape, np.float32), 24_000, weights=OPEN)
        assert (y.shape, y.dtype) == ((*shape[:-1], 2 * shape[-1]), np.float32)
    assert novasr_np.forward(OPEN, np.zeros((0, 60))).shape == (0, 176)
    assert novasr_np.resample(np.zeros((0, 60)), 24_000).shape == (0, 40)
    assert novasr_np.FastSR(OPEN).infer(np.zeros((0, 1, 60))).shape == (0, 1, 176)
    assert novasr_np.count_saturated([]) == 0


def test_a_dtype_comes_in_any_of_numpys_ways(tmp_path):
    for dtype in ("float32", "f4", np.dtype(np.float32), np.float32):
        assert novasr_np.Stream(OPEN, dtype=dtype).push(X).dtype == np.float32
    for bad in (None, "f2", ">f4", np.int16):
        with pytest.raises(TypeError, match="dtype must be float32 or float64, got "):
            novasr_np.Stream(OPEN, dtype=bad)
    for dtype in ("float16", np.float16):
        path = tmp_path / np.dtype(dtype).name
        novasr_np.save_weights(OPEN, path, provenance="", licence="", dtype=dtype)


@pytest.mark.parametrize("rate", [16_000, np.int64(16_000), np.float32(16_000)])
def test_a_rate_in_place_of_the_weights_gets_a_hint(rate):
    with pytest.raises(TypeError, match="by name, sample_rate=16000"):
        novasr_np.Stream(rate)
