"""Files in every format, damaged ones, and outputs that are whole or absent."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import check, speech_like

from novasr_np import AudioError
from novasr_np.files import formats, writing
from novasr_np.files.reading import read, reading

LOSSY = {"ogg", "opus", "mp3"}
FORMATS = pytest.mark.parametrize("format", list(formats.FORMATS))


def save(path, x, rate=48_000, format=None, subtype=None):
    with writing.writing(path, rate, len(x), format or formats.format_of(path), subtype) as file:
        file.write(x)


@FORMATS
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip(format, channels, tmp_path):
    x = np.stack([speech_like(30_000, 48_000, seed) for seed in range(channels)])
    path = tmp_path / f"x{formats.FORMATS[format][0][0]}"
    save(path, x)
    y, rate = read(path)
    assert rate == 48_000
    assert y.dtype == np.float32
    check(y, x, 0.3 if format in LOSSY else 2**-14)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "pcm_u8"])
def test_subtypes(subtype, tmp_path):
    save(tmp_path / "x.wav", speech_like(1000)[np.newaxis], subtype=subtype)
    assert soundfile.info(tmp_path / "x.wav").subtype == subtype.upper()


def test_unknown_formats_are_refused():
    with pytest.raises(ValueError, match="'m4a'"):
        formats.check_format("m4a")
    with pytest.raises(ValueError, match=r"subtype of flac must be one of .* got FLOAT"):
        formats.check_format("flac", "float")


@FORMATS
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_cut_short(format, keep, tmp_path):
    path = tmp_path / "x"
    save(path, speech_like(100_000, 48_000)[np.newaxis], format=format)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(AudioError, match=r"cut short|not audio"):
        read(path)


def test_ogg_cut_between_two_pages(tmp_path):
    """Every page is whole, but the last one is not marked as the end."""
    path = tmp_path / "x.ogg"
    save(path, speech_like(200_000, 48_000)[np.newaxis])
    whole = path.read_bytes()
    assert whole.count(b"OggS") > 3
    path.write_bytes(whole[: whole.rfind(b"OggS")])
    with pytest.raises(AudioError, match="the Ogg stream has no end"):
        read(path)


def test_vorbis_with_a_lost_page(tmp_path):
    """libsndfile skips a damaged page without a word; the pages' numbers tell."""
    path = tmp_path / "x.ogg"
    save(path, speech_like(200_000, 48_000)[np.newaxis])
    whole = path.read_bytes()
    for place in (0.4, 0.7, 0.95):
        damaged = bytearray(whole)
        damaged[int(len(whole) * place)] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(AudioError, match=r"damaged|cut short"):
            read(path)


def test_opus_with_a_lost_page(tmp_path):
    path = tmp_path / "x.opus"
    for rate in (16_000, 48_000):
        save(path, speech_like(5 * rate, rate)[np.newaxis], rate)
        assert read(path)[0].shape == (1, 5 * rate)
        whole = path.read_bytes()
        for place in (0.2, 0.5, 0.9):
            damaged = bytearray(whole)
            damaged[int(len(whole) * place)] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(AudioError, match=r"damaged|cut short"):
                read(path)


@FORMATS
def test_no_samples(format, tmp_path):
    path = tmp_path / "x"
    if format in {"flac", "opus", "mp3"}:
        with pytest.raises(AudioError, match=f"{format} file cannot hold 0 samples"):
            save(path, np.zeros((2, 0), np.float32), format=format)
        assert not os.listdir(tmp_path)
    else:
        save(path, np.zeros((2, 0), np.float32), format=format)
        x, _ = read(path)
        assert x.shape == (2, 0)


@pytest.mark.parametrize("content", [b"", b"plain text, called .wav\n" * 50, bytes(5000)])
def test_not_audio(content, tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match="not audio"):
        read(path)


def stated(path, data_size, riff_size=None):
    """A WAV file of 5000 samples whose header has these sizes."""
    save(path, speech_like(5000)[np.newaxis])
    data = bytearray(path.read_bytes())
    place = data.find(b"data") + 4
    data[place : place + 4] = data_size.to_bytes(4, "little")
    if riff_size is not None:
        data[4:8] = riff_size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def test_sound_behind_a_header_that_counted_less_is_not_left_out(tmp_path):
    """A recorder that died left a zero: all is read; or what it had counted: it is said."""
    assert read(stated(tmp_path / "x.wav", 0))[0].shape == (1, 5000)
    for counted in (2, 4000, 9998):
        with pytest.raises(AudioError, match=f"says {counted} bytes .* {10_000 - counted} more"):
            read(stated(tmp_path / "x.wav", counted))


@pytest.mark.parametrize("gigabytes", [1.9, 2.2, 3.0, 4.2])
def test_a_wav_that_is_cut_at_any_stated_size(gigabytes, tmp_path):
    size = int(gigabytes * 1e9)
    with pytest.raises(AudioError, match="cut short: 10000 of"):
        read(stated(tmp_path / "x.wav", size, size + 36))


@pytest.mark.parametrize(
    "size", [0xFFFF_FFFF, 0x7FFF_F000, 0x7FFF_FF00, 0x7FFF_FFFF, 2_000_000_000]
)
def test_sizes_that_recorders_put_where_they_know_none(size, tmp_path):
    """ffmpeg, sox, arecord, servers of speech."""
    path = stated(tmp_path / "x.wav", size, min(size + 36, 0xFFFF_FFFF))
    assert read(path)[0].shape == (1, 5000)


def unknown_length(path):
    """A FLAC file as a pipe's writer leaves it: without its length, and without the checksum."""
    data = bytearray(path.read_bytes())
    assert data[:4] == b"fLaC"
    assert data[4] & 0x7F == 0
    info = 8  # behind the marker and the block's own header
    data[info + 13] &= 0xF0
    data[info + 14 : info + 34] = bytes(20)
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("channels", [1, 2])
def test_flac_that_does_not_tell_its_length(channels, tmp_path):
    path = tmp_path / "x.flac"
    x = np.stack([speech_like(100_000, seed=seed) for seed in range(channels)])
    save(path, x, 16_000)
    whole, _ = read(path)
    data = unknown_length(path)
    with reading(path) as source:
        assert source.frames == 100_000
    np.testing.assert_array_equal(read(path)[0], whole)
    path.write_bytes(data[: int(0.7 * len(data))])
    with pytest.raises(AudioError, match="not audio that libsndfile can read whole"):
        read(path)


def test_system_errors_keep_the_systems_words(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.wav")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError), writing.writing(tmp_path / "no/x.wav", 48_000, 1, "wav"):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupted_write_leaves_nothing_and_spares_what_was_there(error, tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"as it was")

    def interrupted():
        with writing.writing(path, 48_000, 1, "wav") as file:
            file.write(np.zeros((1, 200_000), np.float32))
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(tmp_path) == ["x.wav"]
    assert path.read_bytes() == b"as it was"


def test_too_many_channels(tmp_path):
    with pytest.raises(AudioError, match="9 channels as mp3"):
        save(tmp_path / "x.mp3", np.zeros((9, 1000), np.float32))
    with pytest.raises(AudioError, match="channels must be at most 255 in a file, got 256"):
        save(tmp_path / "x.ogg", np.zeros((256, 1000), np.float32))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("format", ["wav", "aiff", "flac"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_16_bits_are_those_that_libsndfile_makes_of_floats(format, dtype, tmp_path):
    """All steps and half steps and their neighbours, beyond full scale, subnormals."""
    steps = (np.arange(-4 * 32_768 - 3, 4 * 32_768 + 4) / (2 * 32_768)).astype(dtype)
    tiny = np.finfo(dtype).tiny * np.array([1, 0.5, -0.5, -1], dtype)
    odd = 2.0 ** -np.arange(1, 60)
    odd = np.concatenate([odd, -odd, 1 - odd, odd - 1, [0.0, -0.0, 1e9, -1e9]]).astype(dtype)
    near = [np.nextafter(steps, dtype(side)) for side in (-9, 9)]
    y = np.concatenate([steps, *near, tiny, odd])
    y = np.stack([y, y[::-1]])
    soundfile.write(tmp_path / f"libsndfile.{format}", y.T, 48_000, "PCM_16")
    save(tmp_path / f"ours.{format}", y)
    theirs, ours = (
        soundfile.read(tmp_path / f"{name}.{format}", dtype="int16")[0].T
        for name in ("libsndfile", "ours")
    )
    different = np.flatnonzero((theirs != ours).any(axis=0))
    assert not len(different), (y[:, different[:5]], theirs[:, different[:5]])


_WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from novasr_np.files.writing import writing
x = np.random.default_rng(0).uniform(-1, 1, (1, 60_000)).astype("f4")
for limit in map(int, sys.argv[3:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with writing(Path(sys.argv[1]), 48_000, 1, sys.argv[2]) as file:
            file.write(x)
        print(limit, "whole")
    except OSError as error:
        print(limit, error.errno)
"""


@pytest.mark.skipif(os.name != "posix", reason="no file size limit here")
@FORMATS
def test_a_full_disk_is_an_error_and_leaves_nothing(format, tmp_path):
    """A limit on file sizes stands in for the disk: every write fails in turn, to the last byte."""
    whole = tmp_path / "whole"
    x = np.random.default_rng(0).uniform(-1, 1, (1, 60_000)).astype(np.float32)
    save(whole, x, format=format)
    size = whole.stat().st_size
    whole.unlink()
    limits = [*range(10, size, size // 24), size - 1000, size - 100, size - 1]
    command = [sys.executable, "-c", _WRITE, str(tmp_path / "x"), format, *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    assert done.stdout.splitlines() == [f"{limit} {errno.EFBIG}" for limit in limits]
    assert not os.listdir(tmp_path)


def test_what_wav_cannot_hold_becomes_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_MAX_BYTES", 10_000)
    path = tmp_path / "x.wav"
    for frames, format in ((5000, "WAV"), (5001, "RF64")):
        with writing.writing(path, 48_000, 1, "wav", frames=frames) as file:
            file.write(speech_like(frames)[np.newaxis])
        assert soundfile.info(path).format == format
        assert read(path)[0].shape == (1, frames)
    with (
        pytest.raises(AudioError, match="AIFF file must have at most 4 GB"),
        writing.writing(tmp_path / "x.aiff", 48_000, 1, "aiff", frames=5001),
    ):
        pass
