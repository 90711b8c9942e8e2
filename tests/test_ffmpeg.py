"""What only ffmpeg reads, and what it writes to a pipe: whole, or an error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import runner, speech_like

from novasr_np import AudioError
from novasr_np.files import ffmpeg, writing
from novasr_np.files.reading import read

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# suffix -> options of the encoder, and how many samples at 16 kHz its codec may add or lose
KINDS = {
    "m4a": ("-c:a aac", 2048),
    "mp4": ("-c:a aac -movflags +faststart", 2048),
    "mov": ("-c:a pcm_s16le", 0),
    "mkv": ("-c:a flac", 0),
    "webm": ("-c:a libopus", 1024),
    "aac": ("-c:a aac", 4096),
    "wma": ("-c:a wmav2", 8192),
    "ac3": ("-c:a ac3", 4096),
    "wv": ("-c:a wavpack", 0),
    "tta": ("-c:a tta", 0),
    "avi": ("-c:a pcm_s16le", 0),
}


def encode(name, options, x, rate=16_000):
    """Make a file by ffmpeg; skip where this ffmpeg cannot."""
    soundfile.write("source.wav", x, rate)
    line = ["ffmpeg", "-y", "-v", "error", "-i", "source.wav", *options.split(), name]
    if subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip(f"this ffmpeg cannot write {name}")
    os.remove("source.wav")


def by_ffmpeg(name):
    """An independent decoding: samples [T, channels] and Hz."""
    line = ["ffmpeg", "-v", "quiet", "-i", name, "-map", "0:a:0", "-c:a", "pcm_f32le", "d.wav"]
    subprocess.run(line, check=True)
    x, rate = soundfile.read("d.wav", always_2d=True)
    os.remove("d.wav")
    return x, rate


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOVASR_WEIGHTS", raising=False)


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_whole(kind, channels):
    options, margin = KINDS[kind]
    x = np.stack([speech_like(40_000, seed=seed) for seed in range(channels)])
    encode(f"a.{kind}", options, x.T)
    want, rate = by_ffmpeg(f"a.{kind}")
    y, got = read(Path(f"a.{kind}"))
    assert (got, y.shape, y.dtype) == (rate, want.T.shape, np.float32)
    np.testing.assert_allclose(y, want.T, atol=1e-7)
    assert abs(y.shape[1] * 16_000 / rate - 40_000) <= margin


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_cut_short(kind, keep):
    encode(f"a.{kind}", KINDS[kind][0], speech_like(40_000))
    data = Path(f"a.{kind}").read_bytes()
    Path(f"a.{kind}").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(AudioError, match=r"not audio that ffmpeg can read|cut short"):
        read(Path(f"a.{kind}"))


@needs_ffmpeg
@pytest.mark.parametrize(
    "rate", [16_000, *(pytest.param(r, marks=pytest.mark.slow) for r in (8000, 44_100))]
)
@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus", "aiff"])
def test_what_ffmpeg_pipes_is_upsampled_whole(format, rate):
    """`ffmpeg -f X - | novasr -`: nobody told the length, and nothing can be wound back."""
    encode("a.flac", "", speech_like(rate, rate), rate)
    line = ["ffmpeg", "-v", "error", "-i", "a.flac", "-f", format, "-"]
    piped = subprocess.run(line, capture_output=True, check=False).stdout
    if not piped:
        pytest.skip(f"this ffmpeg writes no {format} to a pipe at {rate} Hz")
    command = [sys.executable, "-m", "novasr_np", "-", "-o", "b.wav"]
    done = subprocess.run(command, input=piped, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # A second, and what an encoder of MP3 puts before and behind it.
    more = soundfile.info("b.wav").frames - 48_000
    assert 0 <= more <= (3 * 1152 * 48_000 // rate if format == "mp3" else 0)


@needs_ffmpeg
def test_video_folders_and_the_command(capfd):
    cli = runner(capfd)
    os.makedirs("in")
    encode("in/a.mp4", "-c:a aac", speech_like(40_000))
    soundfile.write("in/b.wav", speech_like(4000), 16_000)
    assert "2 done" in cli("-r", "in", "-o", "out")[2]
    assert sorted(os.listdir("out")) == ["a_48k.wav", "b_48k.wav"]
    Path("in/c.mp4").write_bytes(b"no video")
    assert "1 failed" in cli("-r", "in", "-o", "out2")[2]
    status, _, err = cli("corpus", "in", "corpus", "--format", "wav")
    assert status == 1
    assert "2 done" in err
    assert not list(Path().rglob("*.novasr-part*"))


@needs_ffmpeg
def test_no_sound_inside():
    encode("a.wav", "", speech_like(4000))
    line = "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=16x16 -c:v mpeg4 silent.mp4"
    if subprocess.run(line.split(), check=False).returncode:
        pytest.skip("this ffmpeg makes no video")
    with pytest.raises(AudioError, match=r"ffmpeg can read whole: there is no sound in it"):
        read(Path("silent.mp4"))


@needs_ffmpeg
def test_playlists_are_not_followed(tmp_path):
    """They could name any file of this machine, or a host."""
    encode("secret.mp3", "", speech_like(4000))
    for name, text in (
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp3\n#EXT-X-ENDLIST\n"),
        ("b.mp4", "ffconcat version 1.0\nfile secret.mp3\n"),
        ("c.mp4", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.mp3\n"),
    ):
        Path(name).write_text(text)
        with pytest.raises(AudioError, match="not audio that ffmpeg can read"):
            read(Path(name))


@needs_ffmpeg
@pytest.mark.parametrize("name", ["-i.m4a", "a:b.m4a", "http:x.m4a", "a b%d.m4a", "ü.m4a"])
def test_any_name(name):
    encode("a.m4a", "-c:a aac", speech_like(8000))
    os.rename("a.m4a", name)
    assert read(Path(name))[0].shape[1] > 7000


def test_without_ffmpeg_the_way_is_told(monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_installed", lambda: False)
    Path("my talk.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    with pytest.raises(
        AudioError, match=r"Install ffmpeg, or: ffmpeg -i 'my talk.m4a' 'my talk.wav'"
    ):
        read(Path("my talk.m4a"))
    Path("text.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"Format not recognised\.\s*$"):
        read(Path("text.wav"))


def test_a_long_file_of_unknown_length_does_not_overrun_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_MAX_BYTES", 10_000)

    def write(frames):
        with writing.writing(tmp_path / "x.wav", 48_000, 1, "wav") as file:
            for _ in range(frames // 1000):
                file.write(np.zeros((1, 1000), np.float32))

    write(5000)
    with pytest.raises(AudioError, match="at most 4 GB"):
        write(6000)
    assert soundfile.info(tmp_path / "x.wav").frames == 5000
