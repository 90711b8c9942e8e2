"""Files that hold more than their header says: all of it, or an error that names the cause."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import speech_like

from bench.attack_whole import CONTAINERS
from novasr_np import AudioError
from novasr_np.cli import main
from novasr_np.corpus.manifest import read_rows
from novasr_np.files import containers, ffmpeg, find
from novasr_np.files.reading import read, reading

# Name -> libsndfile's format and encoding.
KINDS = CONTAINERS | {
    "wav24": ("WAVEX", "PCM_24"),
    "aifc": ("AIFF", "FLOAT"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
SIZED = ("wav", "wav24", "ulaw.wav", "w64", "aiff", "caf", "au", "sph")
RATE = 16_000


def made(path, kind, seconds=1.0, rate=RATE, channels=1, seed=0):
    """Write a file of a kind; its bytes."""
    major, subtype = KINDS[kind]
    x = np.stack([speech_like(int(seconds * rate), rate, seed + c) for c in range(channels)], -1)
    soundfile.write(path, x, rate, subtype, format=major)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x"


@pytest.mark.parametrize("kind", KINDS)
def test_joined_files_are_read_one_after_the_other(kind, path):
    first, second = made(path, kind), made(path, kind, 1.5, seed=7)
    wants = []
    for data in (first, second):
        path.write_bytes(data)
        wants.append(read(path)[0])
    for order in ((0, 1), (1, 0), (0, 0), (0, 1, 0)):
        path.write_bytes(b"".join((first, second)[n] for n in order))
        with reading(path) as source:
            assert source.frames == sum(wants[n].shape[-1] for n in order)
            got = np.concatenate(list(source.blocks()), -1)
        np.testing.assert_array_equal(got, np.concatenate([wants[n] for n in order], -1))


def test_files_of_different_containers_may_be_joined(path):
    data = [made(path, kind) for kind in ("wav", "aiff", "wav", "flac")]
    path.write_bytes(b"".join(data))
    assert read(path)[0].shape == (1, 4 * RATE)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("other", [{"rate": 8000}, {"channels": 2}])
def test_joined_files_of_different_kinds_are_named(kind, other, path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_installed", lambda: False)
    path.write_bytes(made(path, kind) + made(path, kind, **other))
    with pytest.raises(AudioError, match="different kinds, 16000 Hz with 1 channel and"):
        read(path)


def test_ffmpeg_reads_a_chain_of_opus_of_different_rates_whole(path):
    """Opus runs at 48 kHz, whatever the sound's rate was before."""
    if not ffmpeg.is_installed():
        pytest.skip("needs ffmpeg")
    path.write_bytes(made(path, "opus") + made(path, "opus", rate=8000))
    x, rate = read(path)
    assert (rate, x.shape[0]) == (48_000, 1)
    assert 2.0 <= x.shape[-1] / rate < 2.05
    path.write_bytes(made(path, "ogg") + made(path, "ogg", rate=8000))
    with pytest.raises(AudioError, match=r"of different kinds, .* change midway"):
        read(path)


@pytest.mark.parametrize("kind", SIZED)
def test_a_size_that_is_less_than_there_is(kind, path):
    """Every size from the file's own down to a chunk that is no chunk."""
    data = made(path, kind)
    text = path.read_bytes()
    if kind == "sph":
        path.write_bytes(text.replace(b"sample_count -i 16000", b"sample_count -i 12000"))
    else:
        path.write_bytes(with_size(data, kind, lambda size: size * 3 // 4 & ~1))
    with pytest.raises(AudioError, match=r"its header says \d+ bytes of samples, but \d+ more"):
        read(path)


@pytest.mark.parametrize("kind", [kind for kind in SIZED if kind != "sph"])
def test_a_size_of_zero_stands_for_unknown_if_sound_follows(kind, path):
    data = made(path, kind)
    want = read(path)[0]
    path.write_bytes(with_size(data, kind, lambda size: 0))
    np.testing.assert_array_equal(read(path)[0], want)


def with_size(data, kind, change):
    """A file whose size of the samples is changed."""
    name, order = {
        "w64": (b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", "<Q"),
        "aiff": (b"SSND", ">I"),
        "caf": (b"data", ">Q"),
        "au": (b".snd", ">I"),
    }.get(kind, (b"data", "<I"))
    at = data.index(name) + len(name) + (4 if kind == "au" else 0)
    (size,) = struct.unpack_from(order, data, at)
    changed = bytearray(data)
    struct.pack_into(order, changed, at, change(size))
    return bytes(changed)


def test_a_flac_header_that_counts_less_than_its_frames(path):
    data = made(path, "flac", 3)
    want = read(path)[0]
    for stated in (1, 20_000, 44_000):
        changed = bytearray(data)
        changed[22:26] = stated.to_bytes(4, "big")
        path.write_bytes(changed)
        np.testing.assert_array_equal(read(path)[0], want)


@pytest.mark.parametrize("more", [0, 64_000])
def test_a_size_that_wrapped_at_4_gb(more, path):
    """Holes in the file system stand for the sound."""
    data = bytearray(made(path, "wav"))
    start, size = data.index(b"data") + 8, (1 << 32) + more
    struct.pack_into("<I", data, start - 4, size & 0xFFFFFFFF)
    struct.pack_into("<I", data, 4, size + start - 8 & 0xFFFFFFFF)
    path.write_bytes(data[:start])
    with open(path, "r+b") as file:
        file.truncate(start + size)
    with reading(path) as source:
        assert source.frames == size // 2


def test_chunks_that_follow_the_sound_are_none(path):
    data = made(path, "wav")
    want = read(path)[0]
    info = b"LIST" + struct.pack("<I", 14) + b"INFOINAM" + struct.pack("<I", 2) + b"x\0"
    for behind in (
        info,
        info + info,
        b"odd!" + struct.pack("<I", 3) + b"abc\0",
        bytes(511),
        b"TAG",
    ):
        path.write_bytes(data + behind)
        np.testing.assert_array_equal(read(path)[0], want)
    path.write_bytes(data + info[:-3])  # cut short, but no sound is lost
    np.testing.assert_array_equal(read(path)[0], want)
    path.write_bytes(data + b"\x01\x02 no chunk")
    with pytest.raises(AudioError, match="but 11 more follow"):
        read(path)


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_an_ogg_file_from_the_middle_of_a_broadcast(kind, path):
    """Its count of samples goes on from before."""
    data = made(path, kind, 4)
    pages = [b"OggS" + page for page in data.split(b"OggS")[1:]]
    late = []
    for page in map(bytearray, pages):
        (count,) = struct.unpack_from("<q", page, 6)
        if count > 0:
            struct.pack_into(
                "<qIII", page, 6, count + 10**9, *struct.unpack_from("<II", page, 14), 0
            )
            struct.pack_into("<I", page, 22, ogg_checksum(page))
        late.append(bytes(page))
    path.write_bytes(b"".join(late))
    assert containers.walk(path).parts[0].seconds == 0
    assert read(path)[0].shape[-1] >= 3.9 * RATE


def ogg_checksum(page):
    """RFC 3533's CRC, bit by bit."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_an_ogg_file_without_one_of_its_pages(place, path):
    data = made(path, "opus", 5)
    pages = [b"OggS" + page for page in data.split(b"OggS")[1:]]
    assert len(pages) > 5
    del pages[2 + int(place * (len(pages) - 3))]
    path.write_bytes(b"".join(pages))
    with pytest.raises(AudioError, match="damaged: page"):
        read(path)


# The beginnings of containers that only ffmpeg reads.
FIRST = {
    "mp4": b"\0\0\0\x1cftypM4A \0\0\2\0",
    "mkv": b"\x1aE\xdf\xa3\x8fB\x86\x81\x01B\x82\x88matroska",
    "wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "flv": b"FLV\x01\x04\0\0\0\x09\0\0\0\0",
    "tta": b"TTA1\x01\0\x01\0",
    "amr": b"#!AMR\n",
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_second_recording_that_ffmpeg_would_leave_out_is_named(first, path):
    path.write_bytes(first + bytes(1000) + first + bytes(1000))
    with pytest.raises(AudioError, match=f"a second .* begins at byte {len(first) + 1000}"):
        containers.walk(path)
    path.write_bytes(first + bytes(1000) + first[:5] + bytes(1000))
    assert len(containers.walk(path).parts) == 1


@pytest.mark.parametrize("other", [{"rate": 8000}, {"channels": 2}])
def test_of_joined_wav_files_ffmpeg_would_read_the_first(other, path):
    """So it is not asked, be it there or not."""
    path.write_bytes(made(path, "wav") + made(path, "wav", **other))
    with pytest.raises(AudioError, match="2 files were joined"):
        read(path)


def test_runs_over_folders_take_all_that_can_be_read(tmp_path, capsys):
    names = [
        f"x.{kind}" for kind in ("au", "caf", "W64", "sph", "voc", "aifc", "snd", "rf64", "wav")
    ]
    for name in (*names, "notes.txt", ".hidden.wav"):
        (tmp_path / name).touch()
    taken = [Path(source).name for source, _ in find.find([str(tmp_path)], True, 48_000)]
    assert sorted(taken) == sorted(names)
    assert {row.id for row in read_rows(str(tmp_path), "flac")} == set(names)
    capsys.readouterr()
    main(["corpus", str(tmp_path), str(tmp_path.parent / "out"), "--dry-run"])
    assert "passed over: 1 .txt" in capsys.readouterr().err


def test_a_voc_file_of_several_blocks_is_not_read_in_part(path, monkeypatch):
    soundfile.write(path, speech_like(RATE), RATE, "PCM_16", format="VOC")
    data, want = path.read_bytes(), read(path)[0]
    more = data[:-1] + b"\x02" + (2000).to_bytes(3, "little") + bytes(2000) + b"\0"
    path.write_bytes(more)
    monkeypatch.setattr(ffmpeg, "is_installed", lambda: False)
    with pytest.raises(AudioError, match="in several blocks"):
        read(path)
    monkeypatch.undo()
    if shutil.which("ffmpeg"):
        assert read(path)[0].shape[-1] == want.shape[-1] + 1000


def test_floating_point_in_w64_is_no_whole_number_whatever_it_is_called(path):
    """libsndfile takes the extensible form of it for PCM_32."""
    soundfile.write(path, speech_like(RATE), RATE, "FLOAT", format="W64")
    data, want = path.read_bytes(), read(path)[0]
    at = data.index(b"fmt ") + 24  # behind the name and the size
    (size,) = struct.unpack_from("<Q", data, at - 8)
    rest = bytes.fromhex("000000001000800000aa00389b71")
    form = b"\xfe\xff" + data[at + 2 : at + 16] + struct.pack("<HHI", 22, 32, 4) + b"\3\0" + rest
    data = data[: at - 8] + struct.pack("<Q", 64) + form + data[at - 24 + size + -size % 8 :]
    for changed in (data, with_size(data, "w64", lambda size: 0)):
        path.write_bytes(changed)
        np.testing.assert_array_equal(read(path)[0], want)
    path.write_bytes(data.replace(b"fmt ", b"fmx "))
    with pytest.raises(AudioError, match="not audio"):
        read(path)
