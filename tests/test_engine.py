"""The engine in C, as a library, as a program and as WebAssembly, against the networks."""

import json
import re
import subprocess
import sys
import textwrap
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import check, random_params, shared
from material import PORTS, compiled, needs_gcc, needs_node

import novasr_np
from novasr_np import load_weights, save_weights
from novasr_np.cli import main
from novasr_np.conformance import cases
from novasr_np.conformance.verify import verify
from novasr_np.native import build
from novasr_np.native.binding import Channel, Memory, Model
from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts
from novasr_np.weights import embedded_weights, weights_path

FOLDER = build.SOURCE.parent
WEB = Path(novasr_np.__file__).parent / "web"
LONG = 2  # seconds of the longest case
EMBEDDED = pytest.mark.parametrize("name", embedded_weights())
AIRBAND = pytest.mark.parametrize("name", ["airband", "airband-live"])
RATES = (8000, 12_000, 16_000, 24_000, 48_000)
EDGES = (3750, 4000, 5500, 7700, 8000, 12_000, 24_000)  # Hz
TOLERANCE = 2e-6  # of float32, for outputs within [-1, 1]
LAB = "golden/anyband_lab.npz"


def engine(lib, file, rate=16_000, edge=0):
    return Channel(Model(lib, Path(file).read_bytes(), rate), edge)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of random weights, by the name of their network."""
    folder, found = tmp_path_factory.mktemp("weights"), {}
    for name in ("airband", "airband-live"):
        found[name] = folder / f"{name}.safetensors"
        params = random_params(5, NETWORKS[name])
        save_weights(params, found[name], provenance="seeded random numbers", licence="none")
    return found


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    """Files of the embedded weights in 8 bits, by name."""
    folder = tmp_path_factory.mktemp("int8")
    found = {name: folder / f"{name}.safetensors" for name in embedded_weights()}
    for name, file in found.items():
        save_weights(name, file, provenance="", licence="", dtype=np.int8)
    return found


def truth(file, x, rate, edge):
    """The network in float64."""
    loaded = load_weights(file)
    facts = Facts(rate, 1, edge or None)
    return loaded.network.compute.forward(loaded.params, np.float64(x), facts=facts, rate=rate)


def near(got, want, what):
    check(got, want, TOLERANCE * max(1, np.abs(want).max()), what)


def noise(rate, samples):
    x = np.random.default_rng(rate).uniform(-0.5, 0.5, samples).astype(np.float32)
    x[samples // 3 : samples // 2] = 0
    return x


def by_wasm(wasm, file, rate, edge, piece, sounds, folder):
    """Outputs of several sounds, all in one process, as a page has them."""
    for i, x in enumerate(sounds):
        (folder / f"{i}.f32").write_bytes(x.astype("<f4").tobytes())
    outputs = [folder / f"{i}.y" for i in range(len(sounds))]
    lines = "".join(f"{y.with_suffix('.f32')}\t{y}\n" for y in outputs)
    command = ["node", PORTS / "wasm.mjs", WEB / wasm, file, rate, edge, piece]
    command = [str(part) for part in command]
    subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return [np.fromfile(y, "<f4") for y in outputs]


@AIRBAND
@pytest.mark.parametrize("rate", RATES)
def test_airband_at_any_edge_in_any_pieces(lib, files, name, rate):
    x = noise(rate, rate // 4 + 11)
    for piece, edge in zip((1, 7, 79, 241, 1000, 4799, 4800), EDGES, strict=True):
        if edge <= rate // 2:
            y = engine(lib, files[name], rate, edge)(x, piece)
            near(y, truth(files[name], x, rate, edge), f"{rate} Hz, edge {edge}, by {piece}")


@needs_node
@pytest.mark.parametrize("rate", RATES)
def test_airband_as_webassembly(files, tmp_path, rate):
    x = noise(rate, rate // 4 + 11)
    for piece, edge in ((4800, 0), (333, 3750)):
        (y,) = by_wasm("engine.wasm", files["airband"], rate, edge, piece, [x], tmp_path)
        near(y, truth(files["airband"], x, rate, edge), f"{rate} Hz, edge {edge}, by {piece}")


def test_airband_on_what_it_is_made_for(lib, files):
    """Sounds of voices, filtered in several ways; with our weights too, when they are there."""
    sounds, name = np.load(shared(LAB)), NETWORKS["airband"].weights.default
    chosen = [files["airband"], *([embedded_weights()[name]] if name in embedded_weights() else [])]
    for case in sorted({key.split("/")[0] for key in sounds} - {"weights"}):
        x, rate, edge = (sounds[f"{case}/{part}"] for part in ("x", "rate", "edge"))
        for file in chosen:
            y = engine(lib, file, int(rate), 50 * int(edge))(x, 777)
            near(y, truth(file, x, int(rate), 50 * int(edge)), f"{case}, {file.stem}")


@AIRBAND
@pytest.mark.parametrize("rate", RATES)
def test_short_sounds(lib, files, name, rate):
    run, hop = engine(lib, files[name], rate), rate // 200
    assert len(run(np.zeros(0, np.float32))) == 0
    for samples in (1, 2, hop - 1, hop, hop + 1, 3 * hop + 1, 4 * hop):
        x = noise(rate, samples)
        near(run(x), truth(files[name], x, rate, 0), f"{samples} at {rate} Hz")


def test_rates(lib, files):
    """Multiples of 200 Hz, also those whose transforms have large prime factors, and no others."""
    for rate in (4000, 8600, 16_200, 22_000, 44_200, 47_800):
        x = noise(rate, rate // 10)
        near(
            engine(lib, files["airband"], rate)(x),
            truth(files["airband"], x, rate, 0),
            f"{rate} Hz",
        )
    for rate in (0, -200, 3800, 11_025, 16_100, 44_100, 48_200):
        with pytest.raises(ValueError, match=f"{rate} Hz"):
            engine(lib, files["airband"], rate)
    novasr = weights_path("novasr-open")
    assert lib.novasr_takes(engine(lib, novasr).model.kind, 16_000)
    with pytest.raises(ValueError, match="48000 Hz"):
        engine(lib, novasr, 48_000)


@AIRBAND
def test_edge_that_moves(lib, files, name):
    """It holds from the next frame on; what lies further away is as if it had been so always."""
    rate, hop = 16_000, 80
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * rate).astype(np.float32)
    at = rate + 33
    run = engine(lib, files[name], rate, 8000)
    first = [run.push(x[i : i + 500], False) for i in range(0, at, 500)]
    run.edge(3750)
    rest = [
        run.push(x[i : i + 500], i + 500 >= len(x)) for i in range(500 * len(first), len(x), 500)
    ]
    y = np.concatenate(first + rest)
    same, other = (engine(lib, files[name], rate, edge)(x) for edge in (8000, 3750))
    assert len(y) == 3 * len(x)
    context = NETWORKS[name].cut
    changed = 500 * len(first) // hop * hop  # up to here frames are whole, and have the old edge
    # The frames before the change, and those that hear only what came after it.
    np.testing.assert_array_equal(
        *(z[: 3 * (changed - context.right - 4 * hop)] for z in (y, same))
    )
    np.testing.assert_array_equal(*(z[3 * (changed + context.left) :] for z in (y, other)))
    around = slice(3 * changed, 3 * changed + 960)
    assert np.abs(y[around] - same[around]).max() > 0.01


@AIRBAND
def test_latency(lib, files, name):
    """A hop comes as soon as the latency that is said has passed behind it, and not before."""
    run = engine(lib, files[name])
    latency = run.model.latency
    assert latency == NETWORKS[name].cut.right
    x = noise(16_000, latency + 400)
    assert len(run.push(x[: latency + 79], False)) == 0
    assert len(run.push(x[:1], False)) == 240


@AIRBAND
def test_silence_stays(lib, files, name):
    run = engine(lib, files[name], 48_000, 8000)
    assert not run(np.zeros(20_000, np.float32)).any()
    x = noise(48_000, 60_000)  # zeros from 20,000 to 30,000
    y = run(x)
    assert not y[20_000 + 960 : 30_000 - 960].any()
    assert y[:20_000].any()


@AIRBAND
def test_latency_is_kept_in_small_pieces(lib, files, name):
    """A push does the work of its own samples: outputs come hop by hop, never many at once."""
    run, x = engine(lib, files[name], 48_000), noise(48_000, 48_000)
    made = [len(run.push(x[i : i + 64], False)) for i in range(0, len(x), 64)]
    assert set(made) == {0, 240}
    assert sum(made) == (len(x) - run.model.latency) // 240 * 240


@EMBEDDED
def test_channels_share_a_model_and_work(lib, name):
    """In turns, of several lengths and edges: each is as it is alone."""
    model = Model(lib, weights_path(name).read_bytes(), 16_000)
    work = Memory(model.work_size)
    x = [noise(16_000, 9000), noise(16_000, 7000)[::-1]]
    edges, pieces = (0, 3750), (333, 1000)
    channels = [Channel(model, edge, work) for edge in edges]
    made: list[list] = [[], []]
    for turn in range(28):
        for c, piece in enumerate(pieces):
            at = piece * turn
            if at < len(x[c]):
                last = at + piece >= len(x[c])
                made[c].append(channels[c].push(x[c][at : at + piece], last))
    for c, edge in enumerate(edges):
        alone = Channel(model, edge)(x[c])
        assert np.isfinite(alone).all()
        np.testing.assert_array_equal(np.concatenate(made[c]), alone)


@AIRBAND
def test_gain_scales_what_is_made(lib, files, name):
    x = noise(16_000, 16_000)
    run = engine(lib, files[name], edge=3750)
    ys = {}
    for gain in (1, 0, -1, 0.5):
        run.gain(gain)
        ys[gain] = run(x)
    np.testing.assert_array_equal(ys[1], engine(lib, files[name], edge=3750)(x))
    np.testing.assert_array_equal(ys[0], ys[-1])
    made = ys[1] - ys[0]
    assert np.abs(made).max() > 0.05
    near(ys[0.5] - ys[0], made / 2, "half of it")
    # It is faded to: the frames that are given from now on, four of which overlap.
    run.gain(1)
    first = run.push(x[:15_000], False)
    run.gain(0)
    y = np.concatenate([first, run.push(x[15_000:], True)])
    np.testing.assert_array_equal(y[: len(first)], ys[1][: len(first)])
    np.testing.assert_array_equal(y[len(first) + 720 :], ys[0][len(first) + 720 :])
    step = np.abs(np.diff(y[len(first) - 1 : len(first) + 1])).max()
    assert step <= np.abs(np.diff(ys[1])).max()


@EMBEDDED
def test_int8_weights(lib, int8, name, tmp_path):
    """They are those that numpy reads out of the file, to the bit."""
    x, wide = noise(16_000, 5000), tmp_path / "wide.safetensors"
    save_weights(int8[name], wide, provenance="", licence="", dtype=np.float32)
    y = engine(lib, int8[name])(x)
    np.testing.assert_array_equal(y, engine(lib, wide)(x))
    near(y, novasr_np.upsample(np.float64(x), 16_000, weights=int8[name]), name)
    assert np.abs(y - engine(lib, weights_path(name))(x)).max() > 1e-4  # other weights


@EMBEDDED
def test_int8_weights_need_their_scales(lib, int8, name):
    """Of each channel one, in floating point."""
    tensors = safetensors.numpy.load_file(int8[name])
    scales = [key for key in tensors if key.endswith("_scale")]
    metadata = {"model": load_weights(name).network.name}

    def kind(edits):
        found = {key: value for key, value in (tensors | edits).items() if value is not None}
        data = safetensors.numpy.save(found, metadata)
        return lib.novasr_kind(data, len(data))

    known = kind({})
    for key in scales:
        assert kind({key: tensors[key].astype(np.float16)}) == known
        for wrong in (
            None,
            np.append(tensors[key], tensors[key]),
            np.ones_like(tensors[key], "i1"),
        ):
            assert kind({key: wrong}) != known, key


def test_memory_that_is_not_aligned_is_refused(lib):
    weights = weights_path("novasr-open").read_bytes()
    model = Model(lib, weights, 16_000)
    odd = Memory(max(model.size, model.state_size) + 8).address + 8
    for memory in (None, odd):
        assert lib.novasr_load(memory, weights, len(weights), 16_000) is None
        assert lib.novasr_begin(memory, model.address) is None


@AIRBAND
def test_denormal_numbers_are_zeros(lib, files, name):
    x = np.full(20_000, 1e-39, np.float32)
    assert x.all()
    assert not engine(lib, files[name])(x).any()


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The engine as a program, for any processor."""
    return compiled(tmp_path_factory, "native.c", "-O2", "-Werror")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    return compiled(
        tmp_path_factory,
        *("fuzz.c", "-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    )


@needs_gcc
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_airband_as_a_program(native, files, tmp_path, rate):
    x, file = noise(rate, rate // 4 + 11), files["airband"]
    x.astype("<f4").tofile(tmp_path / "x")
    line = (native, file, rate, 3750, 123, tmp_path / "x", tmp_path / "y")
    subprocess.run([str(part) for part in line], check=True)
    near(np.fromfile(tmp_path / "y", "<f4"), truth(file, x, rate, 3750), f"{rate} Hz")


@needs_gcc
@EMBEDDED
def test_the_program_is_right(native, name, capsys):
    line = f"{native} {weights_path(name)} {{rate}} {{edge}} 1600 {{input}} {{output}}"
    arguments = ("--command", line, "--weights", name, "--long", str(LONG), "--json")
    assert main(["verify", *arguments, "--rate", "44100"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["grade"] in ("float32", "bit-near")
    assert report["faults"] == []
    tried = cases.cases(load_weights(name).network, LONG, (44_100,))
    assert [outcome["case"] for outcome in report["outcomes"]] == [case.name for case in tried]


@EMBEDDED
def test_int8_weights_are_verified(lib, int8, name):
    """Against what numpy makes of the same file; the weights that they were are no port of it."""
    loaded = load_weights(int8[name])
    tried = list(islice(cases.cases(loaded.network, 0), 5))
    for file, passes in ((int8[name], True), (weights_path(name), False)):
        port = partial(by_library, lib, file)
        report = verify(port, loaded, tried)
        assert (report.grade in ("float32", "bit-near")) is passes


def by_library(lib, file, x, rate, edge=0):
    return engine(lib, file, rate, edge)(x)


@needs_node
@EMBEDDED
def test_webassembly_is_right(name, tmp_path):
    """All cases of one rate and edge in one process, as a page has them."""
    tried = list(cases.cases(load_weights(name).network, LONG))
    kinds: dict[tuple[int, int], list[int]] = {}
    for i, case in enumerate(tried):
        kinds.setdefault((case.rate, case.edge or 0), []).append(i)
    outputs = {}
    for (rate, edge), places in kinds.items():
        sounds, folder = [tried[i].x for i in places], tmp_path / f"{rate}-{edge}"
        folder.mkdir()
        ys = by_wasm("engine.wasm", weights_path(name), rate, edge, 1600, sounds, folder)
        outputs |= dict(zip(places, ys, strict=True))
    order = iter(range(len(tried)))
    report = verify(lambda *_: outputs[next(order)], load_weights(name), tried)
    assert report.grade in ("float32", "bit-near")
    assert report.faults == []


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("name", ["airband", "airband-live", "novasr-open", "airband-2"])
def test_the_engine_stays_in_its_memory(fuzz, files, int8, name):
    """Random pieces and hostile weights, with the sanitizers of addresses and of the undefined."""
    file = files.get(name) or (int8[name] if name == "airband-2" else weights_path(name))
    subprocess.run([fuzz, file, "1000", "1"], check=True, timeout=300)


@needs_gcc
@pytest.mark.parametrize("name", ["airband-live", "novasr-open"])
def test_the_program_that_the_header_opens_with(files, name, tmp_path):
    """It compiles without a warning, as C and as its words say, and gives what numpy gives."""
    header = (FOLDER / "engine.h").read_text()
    program = re.search(r"^( \*     #include.*?^ \*     })$", header, re.DOTALL | re.MULTILINE)[1]
    source = re.sub(r"^ \* ?", "", program, flags=re.MULTILINE)
    (tmp_path / "use.c").write_text(textwrap.dedent(source))
    assert len([line for line in source.splitlines() if line.strip()]) < 30
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", FOLDER]
    for part, more in (
        ("use.c", ["-Wconversion", "-pedantic"]),
        ("engine.c", ["-O2", "-Wno-psabi"]),
    ):
        code = tmp_path / part if part == "use.c" else FOLDER / part
        out = tmp_path / f"{part}.o"
        subprocess.run(["gcc", *flags, *more, "-c", "-o", out, code], check=True)
    objects = [tmp_path / "use.c.o", tmp_path / "engine.c.o"]
    subprocess.run(["gcc", "-o", tmp_path / "use", *objects], check=True)
    file, x = files.get(name) or weights_path(name), noise(16_000, 5000)
    run = [tmp_path / "use", file]
    done = subprocess.run(run, input=x.astype("<f4").tobytes(), stdout=subprocess.PIPE, check=True)
    y = np.frombuffer(done.stdout, "<f4")
    if name == "novasr-open":
        near(y, novasr_np.upsample(np.float64(x), weights=name), name)
    else:
        near(y, truth(file, x, 16_000, 0), name)
    assert subprocess.run([tmp_path / "use", tmp_path / "use.c"], check=False).returncode == 1


def test_without_a_compiler_it_is_said_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(FileNotFoundError, match="CC=no-such-compiler is not on the path"):
        build.library(tmp_path / "libnovasr.so")
    line = [sys.executable, "-m", build.__name__, "library", tmp_path / "libnovasr.so"]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="cc, clang or gcc is not on the path"):
        build.compiler()
