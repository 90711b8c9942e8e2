"""The broadcast extension of WAV files keeps its place at another rate."""

import numpy as np
import pytest
import soundfile
from conftest import runner

from novasr_np.files import broadcast
from novasr_np.files.reading import reading

BROADCAST = broadcast.Broadcast(
    *(b"Interview", b"Recorder", b"No 7", b"2024-01-02", b"10:11:12"),
    *(44_100 * 36_000 + 147, 2, b"\1" * 64, b"\2" * 10, 7, b"A=PCM\r\n"),
)


def save(path, major):
    with soundfile.SoundFile(path, "w", 44_100, 1, "PCM_16", format=major) as file:
        broadcast.write(file, BROADCAST)
        file.write(np.zeros(4410))


@pytest.mark.parametrize(("major", "format"), [("WAV", "wav"), ("RF64", "wav"), ("WAV", "flac")])
def test_the_place_of_a_broadcast_is_kept(major, format, tmp_path, capfd):
    save(tmp_path / "a.wav", major)
    target = tmp_path / f"b.{format}"
    assert runner(capfd)(str(tmp_path / "a.wav"), "-o", str(target))[0] == 0
    with reading(target) as source:
        got = source.broadcast
    if format == "flac":  # which has no room for it
        assert got is None
        return
    assert got.time_reference == 48_000 * 36_000 + 160
    texts = [text.rstrip(b"\0") for text in got[:5]]
    assert texts == list(BROADCAST[:5])
    assert not got.umid.strip(b"\0")
    assert got.loudness == b"\xff\x7f" * 5
    history = got.history.rstrip(b"\0")
    lines = [line.split(b",")[:2] for line in history.splitlines()]
    assert lines == [[b"A=PCM"], [b"A=PCM", b"F=44100"], [b"A=PCM", b"F=48000"]]


def test_places_are_rounded_and_never_overrun():
    assert BROADCAST._replace(time_reference=1).at_rate(44_100, 48_000).time_reference == 1
    assert BROADCAST._replace(time_reference=2).at_rate(16_000, 48_000).time_reference == 6
    huge = BROADCAST._replace(time_reference=(1 << 64) - 1).at_rate(8000, 48_000)
    assert huge.time_reference == (1 << 64) - 1
