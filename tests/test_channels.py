"""Each channel keeps its speaker from any format to any other, or a note says which it gets."""

import os
import shutil
import struct
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import runner

from novasr_np import AudioError
from novasr_np.files import layout, writing
from novasr_np.files.reading import reading

RATE = 48_000
# Layouts by the names of their channels in WAVE's order, as ffmpeg calls and orders them.
LAYOUTS = {
    "mono": (0x4, "FC"),
    "stereo": (0x3, "FL FR"),
    "2.1": (0xB, "FL FR LFE"),
    "3.0": (0x7, "FL FR FC"),
    "4.0": (0x107, "FL FR FC BC"),
    "quad": (0x33, "FL FR BL BR"),
    "5.0": (0x37, "FL FR FC BL BR"),
    "5.0(side)": (0x607, "FL FR FC SL SR"),
    "5.1": (0x3F, "FL FR FC LFE BL BR"),
    "5.1(side)": (0x60F, "FL FR FC LFE SL SR"),
    "6.1": (0x70F, "FL FR FC LFE BC SL SR"),
    "7.1": (0x63F, "FL FR FC LFE BL BR SL SR"),
    "7.1(wide)": (0xFF, "FL FR FC LFE BL BR FLC FRC"),
}
# A tone for each speaker, in Hz: whole periods in a tenth of a second, and the LFE's is low.
TONES = {"FL": 300, "FR": 500, "FC": 700, "LFE": 60, "BL": 1100, "BR": 1300, "FLC": 1500}
TONES |= {"FRC": 1700, "BC": 1900, "SL": 2100, "SR": 2300}
XIPH = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}  # all that Vorbis and Opus have


def tones(names):
    """[T, channels], a tone for each name."""
    t = np.arange(RATE // 10) / RATE
    return np.stack([0.1 * np.sin(2 * np.pi * TONES[name] * t) for name in names.split()], axis=-1)


def heard(x):
    """The names of the tones in [T, channels]."""
    names = {hz: name for name, hz in TONES.items()}
    peaks = np.abs(np.fft.rfft(x * np.hanning(len(x))[:, np.newaxis], RATE // 10, axis=0))
    return " ".join(names.get(10 * int(k), "?") for k in peaks.argmax(axis=0))


def load(path):
    """The layout of a file, and the tones of its channels as we read them."""
    with reading(Path(path)) as source:
        return source.layout, heard(np.concatenate(list(source.blocks()), axis=-1).T)


def save(path, names, mask, format=None, subtype=None):
    x = np.float32(tones(names).T)
    format = format or Path(path).suffix[1:]
    with writing.writing(Path(path), RATE, len(x), format, subtype, layout=mask) as file:
        file.write(x)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_speaker_keeps_its_channel_from_each_format_to_each(name):
    mask, names = LAYOUTS[name]
    n = len(names.split())
    formats = ["wav", "flac", "aiff", "ogg", "opus"] + ["mp3"] * (n <= 2)
    there = {mask: "the source"}
    for a in formats:
        save(f"a.{a}", names, mask)
        found, order = load(f"a.{a}")
        assert order == names, a
        assert found == (XIPH.get(n, mask) if a in ("ogg", "opus") else mask), a
        there[found] = a
    # Sources differ in the layout alone.
    for (first, a), b in product(list(there.items())[1:], formats):
        save(f"b.{b}", names, first)
        found, order = load(f"b.{b}")
        assert order == names, (a, b)
        assert found == (XIPH.get(n, first) if b in ("ogg", "opus") else first), (a, b)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("3.0", "FL FC FR"),
        ("5.0(side)", "FL FC FR SL SR"),
        ("5.1", "FL FC FR BL BR LFE"),
        ("5.1(side)", "FL FC FR SL SR LFE"),
        ("6.1", "FL FC FR SL SR BC LFE"),
        ("7.1", "FL FC FR SL SR BL BR LFE"),
    ],
)
def test_vorbis_and_opus_have_an_order_of_their_own(name, order):
    for file in ("a.ogg", "a.opus"):
        save(file, LAYOUTS[name][1], LAYOUTS[name][0])
        assert heard(soundfile.read(file)[0]) == order


def test_back_speakers_become_side_speakers_where_there_are_no_others():
    """Vorbis's 6.1 has SL SR BC, after which BL BR BC is another order in WAVE."""
    save("a.ogg", "FL FR FC LFE BL BR BC", 0x13F)
    assert load("a.ogg") == (0x70F, "FL FR FC LFE BC BL BR")


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("names", ["FC", "FL FR", "FL FR FC BC"])
def test_a_wav_is_plain_where_that_says_enough(names, subtype):
    save("a.wav", names, None, subtype=subtype)
    with soundfile.SoundFile("b.wav", "w", RATE, len(names.split()), subtype) as file:
        soundfile._snd.sf_command(file._file, 0x1050, soundfile._ffi.NULL, False)
        file.write(np.float32(tones(names)))
    plain = Path("b.wav").read_bytes()
    assert Path("a.wav").read_bytes() == plain
    if names != "FL FR FC BC":
        save("a.wav", names, {"FC": 0x4, "FL FR": 0x3}[names], subtype=subtype)
        assert Path("a.wav").read_bytes() == plain


def test_a_mask_is_in_the_bytes_of_each_format_that_has_room_for_it(monkeypatch):
    names = LAYOUTS["7.1(wide)"][1]
    save("a.wav", names, 0xFF)
    save("a.flac", names, 0xFF)
    save("a.aiff", names, 0xFF)
    assert Path("a.wav").read_bytes()[40:44] == b"\xff\0\0\0"
    assert b"\x2c\0\0\0WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x000000FF" in Path("a.flac").read_bytes()
    data = Path("a.aiff").read_bytes()
    assert data.endswith(b"CHAN" + struct.pack(">4I", 12, 1 << 16, 0xFF, 0))
    assert int.from_bytes(data[4:8], "big") == len(data) - 8
    monkeypatch.setattr(writing, "_MAX_BYTES", 1000)
    with writing.writing(Path("b.wav"), RATE, 8, "wav", frames=4800, layout=0xFF) as file:
        file.write(np.float32(tones(names).T))
    assert soundfile.info("b.wav").format == "RF64"
    assert load("b.wav") == (0xFF, names)


@pytest.mark.parametrize("mask", [None, 0])
def test_channels_for_no_speaker_stay_so(mask):
    names = "FL FR FC LFE"  # four tones
    for file in ("a.wav", "a.aiff", "a.flac"):
        save(file, names, mask)
        assert load(file) == (0 if file == "a.flac" else mask, names)
    discrete = b"CHAN" + struct.pack(">IHHQ", 12, 147, 4, 0)
    assert Path("a.aiff").read_bytes().endswith(discrete) == (mask == 0)


@pytest.mark.parametrize("format", ["ogg", "opus"])
def test_no_sound_is_put_where_an_encoder_filters_it(format):
    for mask, names in ((0x707, "FL FR FC BC SL SR"), (None, "FL FR FC BC SL SR")):
        with pytest.raises(AudioError, match=r"channel 4 of 6 must be the LFE .*choose wav, flac"):
            save(f"a.{format}", names, mask)
    assert not os.listdir()


@pytest.mark.parametrize(("format", "most"), [("flac", 8), ("mp3", 2)])
def test_more_channels_than_a_format_has(format, most):
    with pytest.raises(AudioError, match=f"which has at most {most}: choose wav or aiff"):
        writing.writing(Path(f"a.{format}"), RATE, most + 1, format).__enter__()
    for kind in ("wav", "aiff", "opus", "ogg"):
        x = np.zeros((9, 4800), np.float32)
        with writing.writing(Path(f"a.{kind}"), RATE, 9, kind) as file:
            file.write(x)
        with reading(Path(f"a.{kind}")) as source:
            assert source.channels == 9
            assert source.layout == (0 if kind == "opus" else None)


def caf(names, description, info=b""):
    """A CAF file of these tones with that description of a layout."""
    soundfile.write("a.caf", tones(names), RATE, "PCM_16")
    data = Path("a.caf").read_bytes()
    at = data.index(b"data")
    chunk = b"chan" + len(description).to_bytes(8, "big") + description
    info = b"info" + len(info).to_bytes(8, "big") + info if info else b""
    Path("a.caf").write_bytes(data[:at] + chunk + info + data[at:])
    return load("a.caf")


def test_layouts_of_core_audio():
    tagged = [
        (114, "FC FL FR", 0x7),
        (118, "FL FR SL SR FC", 0x607),
        (123, "FL FC FR SL SR LFE", 0x60F),
        (124, "FC FL FR SL SR LFE", 0x60F),
        (142, "FC FL FR SL SR BC LFE", 0x70F),
        (128, "FL FR FC LFE SL SR BL BR", 0x63F),
    ]
    for tag, names, mask in tagged:
        got, there = caf(names, struct.pack(">HHQ", tag, len(names.split()), 0))
        assert (got, there) == (mask, " ".join(sorted(names.split(), key=list(TONES).index))), tag
    labels = [1, 3, 2, 4, 5, 6, 33, 34]
    described = struct.pack(">3I", 0, 0, 8) + b"".join(
        struct.pack(">I16x", label) for label in labels
    )
    assert caf("FL FC FR LFE SL SR BL BR", described) == (0x63F, "FL FR FC LFE BL BR SL SR")
    assert caf("FL FR BC", struct.pack(">3I", 1 << 16, 0x103, 0)) == (0x103, "FL FR BC")
    # As ffmpeg 5 writes it: this tag, and its channels in another order.
    by_ffmpeg = struct.pack(">HHQ", 128, 8, 0)
    assert caf(LAYOUTS["7.1"][1], by_ffmpeg, b"\0\0\0\1encoder\0Lavf59\0") == LAYOUTS["7.1"]
    soundfile.write("b.caf", tones("FC FL FR BL BR LFE"), RATE, "ALAC_16")
    assert load("b.caf") == (0x3F, "FL FR FC LFE BL BR")


@pytest.mark.parametrize(
    "description",
    [b"", bytes(11), struct.pack(">3I", 0, 0, 9), struct.pack(">3I", 999 << 16, 0, 0)]
    + [
        struct.pack(">3I", 0, 0, 3) + b"".join(struct.pack(">I16x", label) for label in labels)
        for labels in ((1, 1, 1), (0, 1, 2), (1, 2, 2**32 - 1))
    ]
    + [struct.pack(">3I", 1 << 16, 0x33, 0), struct.pack(">3I", 121 << 16 | 6, 0, 0)],
)
def test_descriptions_that_fit_nothing_are_passed_over(description):
    assert caf("FL FR FC", description) == (None, "FL FR FC")


def test_what_a_flac_file_means_that_says_nothing():
    masks = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x607, 6: 0x60F, 7: 0x70F, 8: 0x63F}
    for n, mask in masks.items():
        soundfile.write("a.flac", np.zeros((1000, n)), RATE)
        assert load("a.flac")[0] == mask


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no names for pipes here")
def test_a_pipe_is_not_read_for_its_layout():
    save("a.wav", "FL FR FC", 0x7)
    with soundfile.SoundFile("a.wav") as file:
        there, here = os.pipe()
        os.write(here, b"RIFF")
        os.close(here)
        assert layout.of(Path(f"/dev/fd/{there}"), file) == (None, slice(None))
        assert os.read(there, 9) == b"RIFF"
        os.close(there)


def test_masks_that_fit_nothing_are_passed_over():
    save("a.wav", "FL FR FC", 0x7)
    save("a.flac", "FL FR LFE", 0xB)
    key = b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
    Path("a.flac").write_bytes(Path("a.flac").read_bytes().replace(key, key.lower()))
    assert load("a.flac")[0] == 0xB
    for file, right, wrong in (
        ("a.wav", b"\x07\0\0\0\1\0", b"\x3f\0\0\0\1\0"),
        ("a.flac", b"0x0000000B", b"0xzzzzzzzz"),
        ("a.flac", b"0xzzzzzzzz", b"0xFFFFFFFF"),
        ("a.flac", b"0xFFFFFFFF", b"-000000007"),
    ):
        data = Path(file).read_bytes()
        assert data.count(right) == 1
        Path(file).write_bytes(data.replace(right, wrong))
        assert load(file)[0] == {"a.wav": None, "a.flac": 0x7}[file]


def test_the_command_names_what_has_no_place(capfd):
    cli = runner(capfd)
    save("a.wav", "FL FR LFE", 0xB)
    for options, noted in (
        ("-o b.ogg", True),
        ("-o b.flac", False),
        ("--channels mono -o c.wav", False),
    ):
        status, _, err = cli("a.wav", *options.split())
        assert status == 0, err
        note = "the channels FL FR LFE are written as FL FR FC, since ogg has no place for them"
        assert (note in err) == noted, (options, err)
    assert load("b.flac")[0] == 0xB
    assert soundfile.info("c.wav").format == "WAV"


# What ffmpeg is told, to write a layout into each container.
CONTAINERS = {
    "wav": "-c:a pcm_s24le",
    "w64": "",
    "rf64": "-rf64 always -f wav",
    "flac": "",
    "aiff": "",
    "caf": "",
    "au": "",
    "ogg": "-c:a libvorbis",
    "opus": "-c:a libopus -mapping_family 1",
    "mka": "-c:a flac",
    "m4a": "-c:a aac",
}
UNSTATED = ("au", "mka", "m4a")  # the first states no layout; ffmpeg decodes the others for us, too


def by_ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-v", "error", *arguments], check=True)


def decoded(paths):
    """What ffmpeg decodes of files: the masks that it puts into WAVs, and the tones."""
    inputs = [part for path in paths for part in ("-i", path)]
    outputs = [("-map", f"{i}:a", "-c:a", "pcm_f32le", f"{i}.wav") for i in range(len(paths))]
    by_ffmpeg(*inputs, *(part for output in outputs for part in output))
    for i in range(len(paths)):
        data = Path(f"{i}.wav").read_bytes()
        mask = int.from_bytes(data[40:44], "little") if data[20:22] == b"\xfe\xff" else None
        yield mask, heard(soundfile.read(f"{i}.wav", always_2d=True)[0])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize(
    "name", ["2.1", "3.0", "quad", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)"]
)
def test_ffmpeg_hears_the_same(name):
    """In what it writes, and in what we write."""
    mask, names = LAYOUTS[name]
    theirs = [kind for kind in CONTAINERS if kind != "opus" or mask in XIPH.values()]
    waves = "|".join(f"0.1*sin(2*PI*{TONES[name]}*t)" for name in names.split())
    outputs = [part for kind in theirs for part in (*CONTAINERS[kind].split(), f"a.{kind}")]
    by_ffmpeg("-f", "lavfi", "-i", f"aevalsrc={waves}:s={RATE}:c={name}:d=0.1", *outputs)
    ours = ["wav", "flac", "aiff", "ogg", "opus"]
    for kind in ours:
        save(f"b.{kind}", names, mask)
    files = [f"a.{kind}" for kind in theirs] + [f"b.{kind}" for kind in ours]
    for file, want in zip(files, decoded(files), strict=True):
        found, there = load(file)
        assert there == want[1], file
        assert there == names or file == "a.m4a", file  # AAC filters an LFE
        assert found == want[0] or (found is None and file[2:] in UNSTATED), file
