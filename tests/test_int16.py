"""Outputs that leave a device as int16: the files and the results are those of floats."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import speech_like

from bench.pipeline import StandIn
from novasr_np import load_weights, samples
from novasr_np.corpus import device
from novasr_np.files.convert import Options, convert
from novasr_np.networks import NETWORKS
from novasr_np.networks.record import Facts, Level
from novasr_np.pipeline.feed import Int16, open_feed

FORMATS = ("wav", "flac", "aiff")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edges():
    """float32 at and beside every step of 16 bits and half of one, to beyond full scale."""
    half = np.arange(-2 * 33_000, 2 * 33_000 + 1, dtype=np.float32) / np.float32(2 * 32768)
    far = np.float32([0.0, -0.0, 1e-45, 1e-38, 0.99999994, 1.5, 1e3, 1e9])
    some = np.concatenate([half, far, -far])
    return np.concatenate([some, np.nextafter(some, np.float32(9)), np.nextafter(some, -some)])


class Watched:
    """Runner that keeps the dtypes of the outputs that are asked of it."""

    def __init__(self, runner):
        self.dtypes = set()

        def run(pieces):
            self.dtypes |= {piece.y.dtype for piece in pieces}
            runner.run(pieces)

        self.runner = dataclasses.replace(runner, run=run)


def converted(runner, source, **options):
    """The bytes of a file by a runner, its result without times, and the dtypes of its pieces."""
    watched = Watched(runner)
    options = Options(if_exists="overwrite", **options)
    target = f"y.{options.format}"
    result = convert(source, target, options, watched.runner, lambda _: None)
    assert result.status == "done", result.error
    told = {k: v for k, v in vars(result).items() if not k.endswith("_seconds")}
    return Path(target).read_bytes(), told, watched.dtypes


def beside_floats(runner, source, **options):
    """Convert with int16 and with floats off the device; the results, once they are equal."""
    of_int16, told, dtypes = converted(runner, source, **options)
    assert dtypes == {np.dtype(np.int16)}
    floats, told_of_floats, dtypes = converted(
        dataclasses.replace(runner, int16=False), source, **options
    )
    assert dtypes == {np.dtype(np.float32)}
    assert of_int16 == floats
    assert told == told_of_floats
    return told


@pytest.mark.parametrize("format", FORMATS)
def test_edge_values_come_through_as_floats_would(folder, format):
    """Every step of 16 bits, its half and beyond full scale, each three times."""
    soundfile.write("x.wav", edges(), 16_000, subtype="FLOAT")
    told = beside_floats(
        StandIn().open(load_weights()), "x.wav", format=format, subtype="PCM_16", edge=8000
    )
    assert told["peak"] == 1e9
    assert told["saturated"] == 3 * np.count_nonzero(np.abs(edges()) >= 32767 / 32768)


# Rates that the network takes, or that are resampled, to lengths that end within a step; one and
# two channels.
SOUNDS = [(16_000, 40_001, 1), (44_100, 100_001, 1), (8000, 41, 2)]


@pytest.fixture(scope="module")
def jax_runner():
    pytest.importorskip("jax", reason="needs the extra jax")
    from novasr_jax.backend import Backend  # noqa: PLC0415

    return Backend(batch=8, segment=4000).open(load_weights("airband"))


@pytest.mark.parametrize(("rate", "count", "channels"), SOUNDS)
def test_a_loud_file_by_jax_has_the_bytes_of_floats(folder, jax_runner, rate, count, channels):
    x = np.stack([3 * speech_like(count, rate, seed) for seed in range(channels)], axis=-1)
    x[-3:] = 40  # so that what would follow the end is at full scale too, and must not be counted
    soundfile.write("x.wav", x, rate, subtype="FLOAT")
    for format in FORMATS:
        told = beside_floats(jax_runner, "x.wav", format=format, subtype="PCM_16")
        assert told["peak"] > 1
        assert told["saturated"] > 0


@pytest.mark.parametrize(
    "options",
    [
        {"format": "wav", "subtype": "PCM_24"},
        {"format": "wav", "subtype": "FLOAT"},
        {"format": "ogg"},
        {"format": "flac", "subtype": "PCM_16", "keep_lowband": 4000},
    ],
)
def test_what_is_not_the_files_own_samples_stays_float(folder, options):
    soundfile.write("x.wav", speech_like(20_000), 16_000)
    runner = StandIn().open(load_weights())
    assert converted(runner, "x.wav", **options)[2] == {np.dtype(np.float32)}


def test_windows_that_are_cross_faded_stay_float():
    network = NETWORKS["FlashSR"]
    level = Level(np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32))
    facts = Facts(network.rate_in, 1, level=level)
    asked = Int16(samples.round_int16)
    feed = open_feed(network, facts, np.float32, network.choose(None), int16=asked)
    assert feed.int16 is None
    pieces = feed.cut(np.zeros((1, 2 * network.cut.length), np.float32), True)
    assert {piece.y.dtype for piece in pieces} == {np.dtype(np.float32)}
    assert not any(piece.int16 for piece in pieces)


@pytest.mark.parametrize("splits", [[], [5, 30_000]])
@pytest.mark.parametrize("name", ["NovaSR", "airband"])
def test_pieces_end_where_the_sound_does(name, splits):
    """What is put behind a sound is in no piece, and so in no peak."""
    network = NETWORKS[name]
    x = np.zeros((2, 60_001), np.float32)
    due = network.at(x.shape[-1]) - 5
    feed = open_feed(network, Facts(16_000, 2), np.float32, int16=Int16(samples.round_int16))
    pieces, outputs = [], []
    for part in np.split(x, splits, axis=-1):
        last = len(outputs) == len(splits)
        pieces += feed.cut(part, last, due if last else None)
        outputs.append(feed.mix(last))
    assert sum(len(piece.y) for piece in pieces) == 2 * due
    assert sum(y.shape[-1] for y in outputs) == due
    assert {y.dtype for y in outputs} == {np.dtype(np.int16)}


@pytest.mark.skipif(os.name != "posix", reason="there are no such processes here")
def test_through_the_devices_process_as_by_floats(folder):
    """Files in progress at once, whose requests are computed together; one is of 24 bits."""
    items = []
    for i, (format, gain) in enumerate(
        zip([*FORMATS, "wav", "flac"], (3, 0.5, 2, 1, 4), strict=True)
    ):
        soundfile.write(f"{i}.wav", gain * speech_like(20_000, seed=i), 16_000, subtype="FLOAT")
        items.append((f"{i}.wav", Options(format=format, subtype="PCM_24" if i == 3 else "PCM_16")))
    weights = load_weights()
    with device.Device(StandIn(), weights, None) as owner, ThreadPoolExecutor(len(items)) as pool:
        connections = [owner.connect() for _ in items]
        client = Watched(device.open_client(connections))

        def done(runner, item):
            source, options = item
            target = f"{runner.int16}-{source}"
            result = convert(source, target, options, runner, lambda _: None)
            assert result.status == "done", result.error
            return result.peak, result.saturated, Path(target).read_bytes()

        got = list(pool.map(partial(done, client.runner), items))
        want = map(partial(done, dataclasses.replace(StandIn().open(weights), int16=False)), items)
        for connection in connections:
            connection.close()
    assert got == list(want)
    assert client.dtypes == {np.dtype(np.int16), np.dtype(np.float32)}
    assert got[0][1] > 0
