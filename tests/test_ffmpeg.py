"""What only ffmpeg reads, and what it writes to a pipe: whole and in its place, or an error."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import runner, speech_like

from novasr_np import AudioError
from novasr_np.files import ffmpeg, writing
from novasr_np.files.reading import read, reading

needs_ffmpeg = pytest.mark.skipif(
    not ffmpeg.is_installed(), reason="needs ffmpeg and ffprobe: tested without their formats"
)

# suffix -> options of the encoder, and how many samples at 16 kHz its codec may add or lose
KINDS = {
    "m4a": ("-c:a aac", 2048),
    "mkv": ("-c:a flac", 0),
    "avi": ("-c:a pcm_s16le", 0),
    "mp4": ("-c:a aac -movflags +faststart", 2048),
    "mov": ("-c:a pcm_s16le", 0),
    "webm": ("-c:a libopus", 1024),
    "aac": ("-c:a aac", 4096),
    "wma": ("-c:a wmav2", 8192),
    "ac3": ("-c:a ac3", 4096),
    "wv": ("-c:a wavpack", 0),
    "tta": ("-c:a tta", 0),
}
QUICK = ("m4a", "mkv", "avi")
ANY_KIND = pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)

# Sound with a click of 10 ms in the middle of each second, and pictures that flash there, in
# containers and codecs of ffmpeg; the containers may have a second suffix before their own.
VIDEOS = {
    "mp4": "-c:v libx264 -bf 2 -c:a aac",
    "frag.mp4": "-c:v mpeg4 -c:a aac -movflags frag_keyframe+empty_moov",
    "ac3.mp4": "-c:v mpeg4 -c:a ac3",
    "mov": "-c:v mpeg4 -c:a alac",
    "mkv": "-c:v libx264 -bf 2 -c:a libopus -ar 48000",
    "aac.mkv": "-c:v mpeg4 -c:a aac",
    "flac.mkv": "-c:v mpeg4 -c:a flac",
    "eac3.mkv": "-c:v mpeg4 -c:a eac3",
    "webm": "-c:v libvpx -c:a libvorbis",
    "avi": "-c:v mpeg4 -c:a libmp3lame",
    "ts": "-c:v libx264 -bf 2 -c:a aac",
    "mp3.ts": "-c:v mpeg2video -c:a libmp3lame",
    "mpg": "-c:v mpeg2video -c:a mp2",
    "flv": "-c:v flv1 -c:a aac",
    "3gp": "-c:v mpeg4 -c:a aac",
    "wmv": "-c:v wmv2 -c:a wmav2",
    "asf": "-c:v mpeg4 -c:a libmp3lame",
}
SOUNDS = {
    "m4a": "-c:a aac",
    "alac.m4a": "-c:a alac",
    "frag.m4a": "-c:a aac -movflags frag_keyframe+empty_moov",
    "mka": "-c:a libopus -ar 48000",
    "aac.mka": "-c:a aac",
    "webm": "-c:a libvorbis",
    "ogg": "-c:a libvorbis",
    "opus": "-c:a libopus -ar 48000",
    "flac": "-c:a flac",
    "mp3": "-c:a libmp3lame",
    "xing.mp3": "-c:a libmp3lame -write_xing 0",
    "vbr.mp3": "-c:a libmp3lame -q:a 5 -write_xing 0 -ar 16000",
    "wma": "-c:a wmav2",
    "ac3": "-c:a ac3",
    "eac3": "-c:a eac3",
    "aac": "-c:a aac",
    "wav": "-c:a pcm_s16le",
    # Whose times ffmpeg makes up, or which libsndfile misreads.
    "flac.asf": "-c:a flac",
    "vorbis.avi": "-c:a libvorbis",
    "f32.w64": "-c:a pcm_f32le",
    "mp2": "-c:a mp2 -ar 16000",
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


def decode(name):
    with ffmpeg.decoding(Path(name)) as file:
        return file.read(1 << 20, "float32", True)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOVASR_WEIGHTS", raising=False)


@needs_ffmpeg
@ANY_KIND
def test_whole(kind):
    options, margin = KINDS[kind]
    x = np.stack([speech_like(40_000, seed=seed) for seed in range(2)])
    encode(f"a.{kind}", options, x.T)
    want, rate = by_ffmpeg(f"a.{kind}")
    y, got = read(Path(f"a.{kind}"))
    assert (got, y.shape, y.dtype) == (rate, want.T.shape, np.float32)
    np.testing.assert_allclose(y, want.T, atol=1e-7)
    assert abs(y.shape[1] * 16_000 / rate - 40_000) <= margin


@needs_ffmpeg
@ANY_KIND
def test_cut_short(kind):
    encode(f"a.{kind}", KINDS[kind][0], speech_like(40_000))
    data = Path(f"a.{kind}").read_bytes()
    for keep in (0.1, 0.5, 0.9) if kind not in QUICK else (0.6,):
        Path(f"a.{kind}").write_bytes(data[: int(keep * len(data))])
        with pytest.raises(AudioError, match=r"(ffmpeg can read whole: .*|^)cut short|damaged"):
            read(Path(f"a.{kind}"))


def run(*line):
    return subprocess.run(("ffmpeg", "-y", "-v", "error", *line), check=True)


def clicks(late):
    """Source of 3 s that begins `late` seconds after time 0, and clicks at 0.5, 1.5 and 2.5 s."""
    sound = f"if(between(mod(t+{late},1),0.5,0.51),0.8*sin(2*PI*1000*t),0)"
    return "-itsoffset", f"{late}", "-f", "lavfi", "-i", f"aevalsrc='{sound}':s=44100:d={3 - late}"


def flashes(late):
    flash = f"drawbox=c=white:t=fill:enable='between(mod(t+{late},1),0.495,0.512)'"
    source = f"color=c=black:s=64x64:r=50:d={3 - late},{flash}"
    return "-itsoffset", f"{late}", "-f", "lavfi", "-i", source


def beginnings(hot, times):
    """First times of each run of True, s."""
    at = times[hot]
    return at[np.diff(at, prepend=-1) > 0.3]


def clicks_of(x, rate):
    return beginnings(np.abs(x) > 0.25 * np.abs(x).max(), np.arange(len(x)) / rate)


def asynchrony(name):
    """How much later the clicks of a video are than its flashes, s, as ffmpeg plays it."""
    levels = "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=levels.txt"
    clock = "aresample=async=1:min_hard_comp=0.001:first_pts=0"
    pictures = ("-map", "0:v", "-vf", levels, "-fps_mode", "passthrough", "-f", "null", "-")
    run("-i", name, *pictures, "-map", "0:a", "-af", clock, "heard.wav")
    text = Path("levels.txt").read_text()
    times = np.array([float(t) for t in re.findall(r"pts_time:(\S+)", text)])
    light = np.array([float(y) for y in re.findall(r"YAVG=(\S+)", text)])
    seen, heard = beginnings(light > 128, times), clicks_of(*soundfile.read("heard.wav"))
    return np.array([(heard - t)[np.abs(heard - t).argmin()] for t in seen])


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize(("late", "late_pictures"), [(0.3, 0), (0, 0.4)])
@pytest.mark.parametrize("name", VIDEOS)
def test_sound_that_is_put_back_is_in_time(name, late, late_pictures):
    file = f"a.{name}"
    try:
        options = ("-map", "0:v", "-map", "1:a", *VIDEOS[name].split())
        run(*flashes(late_pictures), *clicks(late), *options, file)
    except subprocess.CalledProcessError:
        pytest.skip(f"this ffmpeg cannot write {name}")
    want = asynchrony(file)
    x, rate = read(Path(file))
    soundfile.write("b.flac", x.T, rate)
    back = "c.mov" if name == "mpg" else "c.mkv"  # which wants times that MPEG-1 leaves out
    run("-i", file, "-i", "b.flac", "-map", "0:v", "-map", "1:a", "-c:v", "copy", back)
    assert len(want) >= 2
    np.testing.assert_allclose(asynchrony(back), want, rtol=0, atol=0.01)
    if name != "avi":  # which ffmpeg writes without the offset of its tracks
        np.testing.assert_allclose(want, 0, atol=0.01)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("name", SOUNDS)
def test_sound_alone_begins_where_ffmpeg_begins_it(name):
    """By either reader: neither is given silence, and no codec's delay is cut by one alone."""
    try:
        run(*clicks(0), *SOUNDS[name].split(), f"a.{name}")
    except subprocess.CalledProcessError:
        pytest.skip(f"this ffmpeg cannot write {name}")
    want, rate = by_ffmpeg(f"a.{name}")
    got, got_rate = read(Path(f"a.{name}"))
    assert got_rate == rate
    assert abs(got.shape[1] - len(want)) < 576
    np.testing.assert_allclose(clicks_of(got[0], rate), clicks_of(want[:, 0], rate), atol=0.01)


@needs_ffmpeg
def test_a_video_begins_where_its_pictures_begin_and_its_default_track_is_taken():
    tone = ("-itsoffset", "0.5", "-f", "lavfi", "-i", "sine=440:d=1:r=16000")
    other = ("-f", "lavfi", "-i", "sine=880:d=1:r=16000")
    pictures = ("-f", "lavfi", "-i", "color=s=16x16:r=25:d=2")
    tags = ("-metadata", "title=Hello", "-metadata", "ARTIST=Me", "-metadata", "track=3/4")
    tracks = ("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "mpeg4", "-c:a", "pcm_s16le")
    named = ("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "title=Voice")
    default = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    # Without what the bitstream filter drops, there is a gap of 32 ms from 1.012 s on.
    gap = ("-bsf:a:1", "noise=drop=eq(n\\,8)")
    run(*pictures, *other, *tone, *tracks, *tags, *named, *default, *gap, "a.mkv")
    with reading(Path("a.mkv")) as source:
        x = np.concatenate(list(source.blocks()), 1)[0]
        assert source.tags == {"title": "Hello", "artist": "Me", "tracknumber": "3/4"}
        assert source.notes == ["2 tracks of sound: 2 (Voice) is taken, not 1 (deu)"]
    assert not x[:8000].any()
    assert len(x) == 24_000
    assert 0.5 + 8 * 0.064 == 1.012
    gap = slice(16_192, 17_216)
    assert not x[gap].any()
    t = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 440 * t) / 8
    tone[8192:9216] = 0
    np.testing.assert_allclose(x[8000:], tone, atol=2**-14)


def frames_at(times, size=320):
    """Frames of 20 ms at 16 kHz that hold 1, 2, 3 and so on."""
    values = np.arange(1, len(times) + 1, dtype=np.float32)
    return [
        ffmpeg.Frame(round(time * 16_000), np.full((size, 1), value))
        for time, value in zip(times, values, strict=True)
    ]


def placed(times, offset=0.0):
    return np.concatenate(list(ffmpeg.place(iter(frames_at(times)), 16_000, offset)))[:, 0]


TIMES = np.arange(100) * 0.02


@pytest.mark.parametrize("offset", [0.0, None])
def test_where_a_track_begins(offset):
    x = placed(TIMES + 0.3, offset)
    silence = 0 if offset is None else 4800
    np.testing.assert_array_equal(x, np.repeat([0, *range(1, 101)], [silence] + 100 * [320]))
    np.testing.assert_array_equal(placed(TIMES + 0.3, -0.3), x[silence:])
    np.testing.assert_array_equal(placed(TIMES, -0.3), x[silence + 4800 :])


@pytest.mark.parametrize("gap", [0.01, 0.05, 1.25])
def test_gaps_are_silence(gap):
    x = placed(TIMES + gap * (TIMES > 0.99))
    silence = round(gap * 16_000)
    np.testing.assert_array_equal(x, np.insert(placed(TIMES), 16_000, np.zeros(silence)))


@pytest.mark.parametrize("jitter", [0.001, 0.007, 0.019])
def test_jitter_is_no_gap(jitter):
    late = np.random.default_rng(0).uniform(0, jitter, 100)
    late[[0, 20, 40, 60, 80, 99]] = 0
    np.testing.assert_array_equal(placed(TIMES + late), placed(TIMES))


@pytest.mark.parametrize("speed", [0.99, 1.01])
def test_a_clock_that_runs_fast_or_slow(speed):
    """Its samples are never more than 10 ms from where they belong."""
    times = np.arange(2000) * 0.02 * speed
    x = placed(times)
    firsts = np.searchsorted(np.maximum.accumulate(x), np.arange(1, 2001)) / 16_000
    assert np.abs(firsts - times).max() < 0.01 + 0.02 * (speed < 1)
    assert abs(len(x) / 16_000 - 40 * speed) < 0.01


@pytest.mark.parametrize("back", [0.3, 2.0])
def test_a_clock_that_is_set_back_loses_nothing(back):
    """Two recordings that were joined."""
    np.testing.assert_array_equal(placed(TIMES - back * (TIMES > 0.99)), placed(TIMES))


def test_endless_gaps_are_refused():
    with pytest.raises(AudioError, match="gaps of at most a day, got 90000 s"):
        placed(TIMES + 90_000.0 * (TIMES > 0.99))


@needs_ffmpeg
def test_a_rate_that_changes_midway_is_an_error():
    for rate in (16_000, 48_000):
        encode(f"{rate}.aac", "-c:a aac", speech_like(rate), rate)
    Path("a.aac").write_bytes(Path("16000.aac").read_bytes() + Path("48000.aac").read_bytes())
    with pytest.raises(AudioError, match="its rate or its channels change midway"):
        read(Path("a.aac"))


@needs_ffmpeg
def test_checksums_are_tried():
    encode("a.mkv", "-c:a flac", speech_like(40_000))
    data = bytearray(Path("a.mkv").read_bytes())
    data[len(data) // 2] ^= 1
    Path("a.mkv").write_bytes(data)
    with pytest.raises(AudioError, match="damaged: a checksum does not fit"):
        read(Path("a.mkv"))


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a b.sln", bytes(4000), r"kind sln are not .*: ffmpeg -f sln -i 'a b.sln' 'a b.wav'$"),
        ("a.raw", bytes(4000), r"no sound that ffmpeg knows; raw samples .* -i a.raw a.wav$"),
        ("a.mp4", b"\0\0\0\x20ftypisom" + bytes(500), r"cut short: its index \(moov\) is missing"),
        ("a.wma", b"text\n" * 99, r"no sound that ffmpeg knows$"),
        (
            "a.m3u8",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nb.mp3\n",
            r"a list of other files, which are not opened",
        ),
    ],
)
def test_words_of_ffmpeg_are_translated(name, content, message, tmp_path):
    Path(name).write_bytes(content)
    with pytest.raises(
        AudioError, match=f"^not audio that ffmpeg can read whole: .*{message}"
    ) as e:
        decode(name)
    assert not re.search(rf"{tmp_path}|0x|whitelist|\n", str(e.value))


@needs_ffmpeg
def test_tracks_in_other_files_are_not_opened():
    """A QuickTime file may name the file that holds its samples."""
    encode("secret.mov", "-c:a pcm_s16le", speech_like(4000))
    data = Path("secret.mov").read_bytes()
    name = b"secret.mov"
    # Volume, file and the levels of folders are left empty; then the path (2), and the end (-1).
    alias = bytes(150) + struct.pack(">2H", 2, len(name)) + name + b"\xff\xff\0\0"
    entry = b"alis" + bytes(4) + alias
    at = data.index(b"dref") - 4
    old = int.from_bytes(data[at : at + 4], "big")
    dref = b"dref" + struct.pack(">2I", 0, 1) + struct.pack(">I", len(entry) + 4) + entry
    longer = len(dref) + 4 - old
    new = bytearray(data[:at] + struct.pack(">I", len(dref) + 4) + dref + data[at + old :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = new.rindex(kind, 0, at) - 4
        new[place : place + 4] = struct.pack(">I", longer + struct.unpack_from(">I", new, place)[0])
    Path("a.mov").write_bytes(new)
    with pytest.raises(AudioError, match="ffmpeg can read whole: it returned no samples"):
        read(Path("a.mov"))


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
