"""MP3 files whose header tells too little, too much or nothing: the whole sound, or an error."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from conftest import speech_like

from novasr_np import AudioError
from novasr_np.files import mpeg
from novasr_np.files.containers import walk
from novasr_np.files.reading import read

DECODER_DELAY = 529  # samples that every decoder of Layer III has of its own
ID3 = b"ID3\x04\0\0" + bytes((0, 0, 2, 44)) + bytes(300)


def mp3(path, rate=16_000, mode="CONSTANT", channels=1, seconds=1):
    """What libsndfile writes: a first frame that tells the number of those behind it."""
    x = np.stack([speech_like(rate * seconds, rate, seed) for seed in range(channels)], -1)
    x[: len(x) // 2] *= 0.01  # so that the first frames are small where they may be
    with soundfile.SoundFile(
        path, "w", rate, channels, format="MP3", bitrate_mode=mode, compression_level=0.5
    ) as file:
        file.write(x)
    return path.read_bytes()


def headless(data):
    """Without the frame that tells."""
    at = data.index(b"\xff")
    return data[at + mpeg.frame(data[at : at + 4]).length :]


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("before", [b"", ID3])
def test_without_a_header_nothing_is_lost(rate, mode, channels, before, tmp_path):
    path = tmp_path / "x.mp3"
    whole = mp3(path, rate, mode, channels)
    want, _ = read(path)
    path.write_bytes(before + headless(whole))
    got, got_rate = read(path)
    assert got_rate == rate
    # The header told how much of the ends is padding; without it, it stays.
    assert want.shape[-1] <= got.shape[-1] <= want.shape[-1] + 4 * 1152
    shift = got.shape[-1] - want.shape[-1]
    starts = range(min(shift, 2304) + 1)
    probe = slice(want.shape[-1] - 2000, want.shape[-1] - 1000)
    errors = [np.abs(got[:, s:][:, probe] - want[:, probe]).max() for s in starts]
    assert min(errors) < 1e-3


def test_a_header_that_tells_too_little(tmp_path):
    """Two files joined end to end: the first one's header is not the second one's."""
    path = tmp_path / "x.mp3"
    once = mp3(path)
    read_once = read(path)[0]
    for between in (b"", ID3):
        path.write_bytes(once + between + once)
        np.testing.assert_array_equal(read(path)[0], np.tile(read_once, 2))


def test_tags_behind_the_last_frame(tmp_path):
    path = tmp_path / "x.mp3"
    bare = headless(mp3(path))
    path.write_bytes(bare)
    want = read(path)[0]
    for tag in (b"TAG" + bytes(125), b"APETAGEX" + bytes(60), bytes(1000)):
        path.write_bytes(bare + tag)
        np.testing.assert_array_equal(read(path)[0], want)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95, -1])
def test_cut_without_a_header(keep, tmp_path):
    path = tmp_path / "x.mp3"
    bare = headless(mp3(path))
    length = mpeg.frame(bare[:4]).length
    whole_frames = int(len(bare) * keep) // length
    path.write_bytes(bare[: whole_frames * length + length // 2 if keep > 0 else keep])
    with pytest.raises(AudioError, match=r"cut short: \d+ bytes of its last frame"):
        read(path)


def test_frames_are_counted(tmp_path):
    path = tmp_path / "x.mp3"
    whole = mp3(path, 48_000)
    (part,) = walk(path).parts
    assert not part.head
    path.write_bytes(headless(whole))
    (part,) = walk(path).parts
    at = part.head.index(b"Xing") + 8
    frames = int.from_bytes(part.head[at : at + 4], "big")
    assert (frames - 1) * 1152 <= 48_000 + 1105 + DECODER_DELAY <= (frames + 1) * 1152


@pytest.mark.parametrize("content", [b"", b"ID3", ID3, bytes(5000), b"\xff" * 5000, b"text" * 999])
def test_what_is_no_mp3(content, tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(content)
    with open(path, "rb") as file:
        assert mpeg.walk(file.read(), 0) is None
    with pytest.raises(AudioError, match="not audio"):
        read(path)


@pytest.mark.parametrize("options", [["-b:a", "64k"], ["-q:a", "9"], ["-q:a", "2"]])
def test_as_ffmpeg_pipes_them(options, tmp_path):
    """Beside what ffmpeg itself reads of them."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    soundfile.write(tmp_path / "x.wav", speech_like(160_000), 16_000)
    run = ["ffmpeg", "-loglevel", "error", "-i"]
    made = subprocess.run(
        [*run, tmp_path / "x.wav", *options, "-f", "mp3", "-"], check=True, capture_output=True
    )
    (tmp_path / "x.mp3").write_bytes(made.stdout)
    decoded = subprocess.run(
        [*run, tmp_path / "x.mp3", "-f", "f32le", "-"], check=True, capture_output=True
    )
    got = read(tmp_path / "x.mp3")[0].shape[-1]
    assert len(decoded.stdout) // 4 == got
