"""A file's way through the package: the same samples however it is held, cut and shared."""

import dataclasses
import threading

import numpy as np
import pytest
import soundfile
from conftest import speech

from novasr_np import load_weights
from novasr_np.files import convert as converting
from novasr_np.files.convert import Options, convert
from novasr_np.pipeline.backend import Backend
from novasr_np.threads import ahead


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """Convert a.wav by a number of threads; gives the file's bytes and the lists of pieces."""
    monkeypatch.chdir(tmp_path)

    def run(threads, format="wav"):
        runner = Backend(threads).open(load_weights("airband"))
        lists = []

        def run(pieces):
            lists.append(pieces)
            runner.run(pieces)

        options = Options(format=format, if_exists="overwrite")
        with dataclasses.replace(runner, run=run) as watched:
            result = convert("a.wav", f"b.{format}", options, watched, lambda seconds: None)
        assert result.status == "done", result.error
        return (tmp_path / f"b.{format}").read_bytes(), lists

    return run


@pytest.mark.parametrize("channels", [1, 2])
def test_a_long_file_has_the_same_bytes_by_any_number_of_threads(converted, monkeypatch, channels):
    monkeypatch.setattr(converting, "_HELD", 0)
    monkeypatch.setattr(converting, "_CHUNKS", 2)
    speech("a.wav", 16_000, channels, 27 * 16_000 + 5)
    one, _ = converted(1)
    for threads in (2, 3):
        several, lists = converted(threads)
        assert several == one
        assert max(map(len, lists)) >= threads  # or they would have waited for each other


def test_a_file_that_is_held_has_the_samples_of_one_that_is_not(converted, monkeypatch):
    speech("a.wav", 22_050, 1, 9 * 22_050)
    held, _ = converted(2)
    monkeypatch.setattr(converting, "_HELD", 0)
    other, _ = converted(2)
    held, other = (np.frombuffer(y[-400_000:], "<i2").astype(int) for y in (held, other))
    assert np.abs(held - other).max() <= 1
    assert (held != other).mean() < 1e-3


def test_a_short_file_is_decoded_once(converted, monkeypatch):
    speech("a.wav", 8000)
    opened = []
    read = soundfile.SoundFile.read

    def counted(self, *args, **kwargs):
        opened.append(self)
        return read(self, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    converted(1)
    assert len(set(opened)) == 1
    monkeypatch.setattr(converting, "_HELD", 0)
    converted(1)
    assert len(set(opened)) == 3  # once for the look, once for the work


def test_items_are_made_one_ahead_in_their_order():
    made, names = [], set()

    def items():
        for i in range(5):
            made.append(i)
            names.add(threading.current_thread())
            yield i

    coming = ahead(items())
    got = []
    for item in coming:
        got.append(item)
        assert len(made) <= item + 2
    assert got == [0, 1, 2, 3, 4]
    assert threading.current_thread() not in names


def test_an_error_comes_behind_the_items_before_it():
    def items():
        yield 1
        raise ValueError("the second")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="the second"):
        next(coming)


def test_nothing_is_being_made_once_it_is_closed():
    """A file may be closed then, without a thread that still reads it."""
    going, may_go_on = threading.Event(), threading.Event()
    left = []

    def items():
        yield 1
        going.set()
        may_go_on.wait(20)
        left.append("made")
        yield 2

    coming = ahead(items())
    next(coming)
    assert going.wait(20)
    threading.Timer(0.05, may_go_on.set).start()
    coming.close()
    assert left == ["made"]
