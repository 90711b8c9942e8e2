"""What airband is trained on: crops of power beside real sounds, and the loss."""

import numpy as np
import pytest
from conftest import check, speech_like

jax = pytest.importorskip("jax", reason="needs the extra train")
pytest.importorskip("optax", reason="needs the extra train")
pytest.importorskip("scipy", reason="needs the extra train")

from novasr_jax.train import airband  # noqa: E402
from novasr_jax.train.airband import crops, learn  # noqa: E402
from novasr_jax.train.airband import data as draws  # noqa: E402
from novasr_jax.train.data import Recording  # noqa: E402
from novasr_np.dsp.resample import resample  # noqa: E402
from novasr_np.networks.airband import features as in_numpy  # noqa: E402
from novasr_np.networks.airband.spec import BIN, FIRST, VARIANTS, WIDTHS  # noqa: E402
from novasr_np.tensors import nest  # noqa: E402

RECIPE = airband.RECIPES[0]
FRAMES = 60
PLAN = RECIPE.plan._replace(steps=9, batch=16, samples=FRAMES * 240)
ENDS = FIRST + np.cumsum(WIDTHS)  # bins
LOSS = jax.jit(learn.loss)


def recording(seed, edge=24_000.0, seconds=1):
    return Recording(speech_like(seconds * 48_000, 48_000, seed), edge, "none", speaker=str(seed))


@pytest.fixture(scope="module")
def recordings():
    return [recording(1), recording(2, 15_000.0)]


def untouched(first=0, rows=1, **changes):
    """A draw to which nothing happens, for an input at 48 kHz, but for the changes."""
    ones, none = np.ones(rows, np.float32), np.zeros(rows, np.float32)
    bins, frames = np.ones((rows, 480), np.float32), np.ones((rows, FRAMES), np.float32)
    draw = draws.Draw(
        frames=first + np.tile(np.arange(FRAMES, dtype=np.int32), (rows, 1)),
        peak=ones,
        gate=none,
        gate_least=ones,
        zeroed=none,
        zeroed_times=ones,
        response=bins,
        tone=0 * frames,
        tone_power=0 * frames,
        speech=ones,
        hiss=np.zeros((rows, 2), np.int32),
        noise=0 * bins,
        sounding=frames,
        low_pass=bins,
        half=np.full(rows, 480, np.int32),
        edge=np.full(rows, 480, np.int32),
        coarse=none,
        follows=none,
        counts=np.ones((rows, 56), np.float32),
    )
    return draw._replace(**{name: np.asarray(value) for name, value in changes.items()})


def batch_of(recordings, number=0, **changes):
    plan = PLAN._replace(**changes)
    (draw,) = RECIPE.batches(recordings, plan, [number])
    return draw, crops.pairs(RECIPE.hold(recordings), draw)


def test_untouched_crop_is_what_the_network_hears_of_its_samples():
    """Features of an input of less band, levels of all bands, at the level that is asked for."""
    one, peak, edge = recording(3), 0.25, 161
    low_pass = (np.arange(480) < edge).astype(np.float32)[np.newaxis]
    draw = untouched(20, peak=[np.float32(peak)], low_pass=low_pass, edge=[np.int32(edge)])
    batch = crops.pairs(RECIPE.hold([one]), draw)
    x = np.float64(one.samples[20 * 240 :][: (FRAMES + 3) * 240])
    frames = np.lib.stride_tricks.sliding_window_view(x, 960)[::240]
    windowed = frames * np.sin(np.pi * np.arange(960) / 960)
    loudest = (windowed**2).mean(axis=1).max()  # a peak has 12 times as much
    spectrum = np.fft.rfft(windowed)[:, :480] * np.sqrt(peak / (12 * loudest))
    # Magnitudes lie on the device in 16 bits.
    check(batch.seen[0], in_numpy.features(spectrum, edge).T, 1e-3)
    check(batch.share[0], in_numpy.heard(edge, np.dtype(float)).share, 1e-6)
    power = np.abs(spectrum) ** 2
    bands = np.stack(
        [power[:, end - width : end].mean(axis=1) for end, width in zip(ENDS, WIDTHS, strict=True)]
    )
    check(batch.truth[0], np.log10(np.maximum(bands.T, 1e-9)), 2e-3)


def test_level_of_the_recording_does_not_matter():
    one = recording(3)
    loud = one._replace(samples=16 * one.samples)
    draw = untouched()
    a, b = (crops.pairs(RECIPE.hold([r]), draw).truth for r in (one, loud))
    check(a, b, 5e-3)


@pytest.mark.parametrize("kind", ["hann", "upstream"])
def test_filters_are_those_of_resamplers(kind):
    """Tones through the resampler itself; those above half the rate come out mirrored."""
    part, gain = draws._filters()[["hann", "upstream"].index(kind)]
    hertz = np.array([500, 3000, 3600, 3900, 4100, 4500])
    t = np.arange(24_000) / 48_000
    y = resample(np.cos(2 * np.pi * hertz[:, np.newaxis] * t), 48_000, 8000, kind)
    power = 2 * (y[:, 500:-500] ** 2).mean(axis=1)
    check(power, np.interp(hertz / 4000, part, gain), 5e-3)


def test_mirror_image_is_that_of_decimated_samples():
    """Mean power of noise, filtered by a leaky filter and left with each sixth sample."""
    part, gain = draws._filters()[0]
    x = np.random.default_rng(0).standard_normal(48_000 * 20)
    hertz = np.fft.rfftfreq(len(x), 1 / 48_000)
    low = np.fft.irfft(np.fft.rfft(x) * np.sqrt(np.interp(hertz / 4000, part, gain)))[::6]
    spectrum = in_numpy.spectra(low, 8000)
    want = (np.abs(spectrum) ** 2).mean(axis=0)[1:80] / 480
    low_pass = np.interp(draws.HERTZ / 4000, part, gain)
    draw = untouched(low_pass=np.float32(low_pass)[np.newaxis], half=[np.int32(80)])
    got = np.asarray(crops._lowered(np.ones((1, FRAMES, 480), np.float32), draw))[0, 0]
    check(got[1:80] / want, np.ones(79), 0.15)
    assert got[79] / low_pass[79] == pytest.approx(1 + low_pass[81] / low_pass[79])
    assert got[79] > 1.5 * low_pass[79]  # a leaky filter fills the band up to its end
    check(got[80:], low_pass[80:], 1e-6)


def test_edge_is_where_the_filter_is():
    """Within two bins of 6 dB, or half the rate where the mirror image fills the band."""
    rng = np.random.default_rng(4)
    telephones = leaky = 0
    for _ in range(300):
        top = 1000 * rng.choice([4, 6, 8, 12, rng.uniform(2, 16)])
        gain, half, edge = draws._low_pass(rng, top)
        assert half == round(top / 50)
        assert FIRST - 2 <= edge <= half
        if edge < half and edge > FIRST:
            loudest = gain[FIRST // 2 : edge + 1].max()
            assert gain[max(0, edge - 3)] >= 0.25 * loudest * 0.9
            assert gain[min(479, edge + 2)] < 0.25
        telephones += edge < 74 and top == 4000
        leaky += edge == half and gain[edge - 1] < 0.5
    assert telephones > 5
    assert leaky > 20


def test_a_tone_has_the_power_of_a_real_one():
    """Between bins and on them, and moving."""
    for first, last in ((100.0, 100.0), (200.5, 200.5), (37.3, 37.3), (150.0, 153.0)):
        place = np.linspace(first, last, FRAMES)
        # Frame i has its middle at sample 240 i + 480.
        t = np.arange((FRAMES + 3) * 240)
        phase = 2 * np.pi / 960 * np.cumsum(np.interp(t, 240 * np.arange(FRAMES) + 480, place))
        power = draws.power_of(0.5 * np.cos(phase))
        tone = np.float32(place)[np.newaxis]
        draw = untouched(tone=tone, tone_power=np.full_like(tone, 0.5**2 / 4))
        got = np.asarray(crops._tone(draw))[0]
        inner = slice(4, -4)
        check(got[inner].sum(axis=1) / power[inner].sum(axis=1), np.ones(FRAMES - 8), 0.02)
        check(got[inner] / power[inner].max(), power[inner] / power[inner].max(), 0.02)


def test_a_gate_takes_the_noise_and_leaves_the_speech():
    rng = np.random.default_rng(5)
    power = rng.uniform(0.9, 1.1, (2, FRAMES, 480)).astype(np.float32)
    power[:, 30:] *= 1e4
    draw = untouched(rows=2, gate=np.float32([0, 3]), gate_least=np.float32([0.1, 0.1]))
    off, on = np.asarray(crops._gate(power, draw))
    check(off, np.ones_like(off), 0)
    check(on[30:], np.ones_like(on[30:]), 1e-3)
    check(on[:30], np.full_like(on[:30], 0.1), 1e-6)


def test_a_gate_that_closes_fades_around_speech():
    energy = np.full((2, FRAMES), 1e-3, np.float32)
    energy[:, 20:30] = 1
    draw = untouched(rows=2, zeroed=np.float32([0, 0.3]), zeroed_times=np.float32([1, 2]))
    off, on = np.asarray(crops._opened(energy, draw))
    check(off, np.ones(FRAMES), 0)
    check(on[18:32], np.ones(14), 1e-6)  # open a little before and after
    assert (on[:12] == 0).all()
    assert (on[38:] == 0).all()
    assert (np.diff(on[10:20]) >= 0).all()


def test_digital_silence_is_silence_in_both(recordings):
    draw, batch = batch_of(recordings, batch=64)
    silent = draw.sounding == 0
    assert 0.01 < silent.mean() < 0.5
    check(np.asarray(batch.truth)[silent], np.full((silent.sum(), 56), -9), 1e-5)
    silent &= draw.coarse[:, np.newaxis] == 0
    check(np.asarray(batch.seen)[silent], np.full((silent.sum(), 73), -2.5), 1e-6)


def test_bands_count_above_the_edge_and_below_the_recordings_end(recordings):
    draw, batch = batch_of(recordings[1:], batch=64)  # ends at 15 kHz
    counted = np.asarray(batch.counts) > 0
    want = (draw.edge[:, np.newaxis] < ENDS) & (50 * ENDS <= 15_000)
    np.testing.assert_array_equal(counted, want)
    level = np.random.default_rng(0).normal(-4, 1, batch.truth.shape).astype(np.float32)
    beyond = level + 3 * ~counted[:, np.newaxis]
    check(LOSS(beyond, batch), LOSS(level, batch), 1e-4)


def test_crops_are_of_frames_that_belong_together(recordings):
    """A crop is a piece of one clip, or of several of one voice, one behind the other."""
    clips = [recording(1)._replace(samples=np.zeros(size)) for size in (14_400, 14_600)]
    clips.append(recording(2)._replace(samples=np.zeros(48_000)))
    sizes = [draws.frames_of(len(clip.samples)) for clip in clips]
    firsts = np.cumsum([0, *sizes])
    draw, _ = batch_of(clips, batch=64)
    of_voice = np.digitize(draw.frames, firsts[1:]) == 2
    assert (of_voice.all(axis=1) | ~of_voice.any(axis=1)).all()
    assert 0.2 < of_voice.all(axis=1).mean() < 0.8
    jumps = np.diff(draw.frames, axis=1) != 1
    assert not jumps[of_voice.all(axis=1)].any()
    ends = draw.frames[:, :-1][jumps]
    assert len(ends)
    assert set(ends + 1) <= set(firsts)  # one follows another where that ends


def test_a_groups_share_does_not_grow_with_its_seconds():
    """But for those with hardly any; within a group a voice's grows with the root of its own."""

    def of(source, speaker, seconds):
        samples = np.broadcast_to(np.float32(0), (48_000 * seconds,))
        return Recording(samples, 24_000.0, "none", source, "a", speaker)

    some = [of("VCTK", "1", 400), of("VCTK", "2", 100), of("x", "3", 60), of("y", "4", 6000)]
    shares = [voice.share for voice in draws._voices(some)]
    check(shares[0] / shares[1], 2, 1e-9)
    check(shares[2], shares[3], 1e-9)
    check((shares[0] + shares[1]) / shares[2], 0.5 / 0.03, 1e-6)
    assert draws._voices([of("x", "3", 6)])[0].share < 0.5 * shares[2]


@pytest.fixture(scope="module")
def pair(recordings):
    _, batch = batch_of(recordings[:1])
    return batch


def test_loss_is_least_at_the_truth(pair):
    rng = np.random.default_rng(6)
    least = float(LOSS(pair.truth, pair))
    gradient = np.asarray(jax.jit(jax.grad(learn.loss))(pair.truth, pair))
    assert np.isfinite(gradient).all()
    for change in (
        rng.normal(0, 0.1, pair.truth.shape),
        np.full(pair.truth.shape, 0.1),
        np.linspace(-0.2, 0.2, 56) + 0 * pair.truth,
        -0.2 * (pair.truth - pair.truth.mean(axis=1, keepdims=True)),
    ):
        for sign in (-1, 1):
            assert float(LOSS(pair.truth + sign * np.float32(change), pair)) > least + 1e-3


def test_levels_are_raised_between_points(pair):
    """By dB of power: none at 4 kHz, 3 at 8 kHz, and as much beyond; nothing else changes."""
    before = learn.initial(0)
    after = learn.lifted(before, [4000, 8000], [0, 3])
    variant = VARIANTS[0]
    levels = [learn.predicted(variant, nest(trained), pair) for trained in (before, after)]
    rise = 10 * np.asarray(levels[1] - levels[0])
    middles = BIN * (FIRST + np.cumsum(WIDTHS) - np.array(WIDTHS) / 2)
    want = np.clip((middles - 4000) / 4000, 0, 1) * 3
    check(rise, np.broadcast_to(want, rise.shape), 1e-4)


def test_likeness_hears_when_power_rises_and_not_how_much():
    """0 for the truth, at any level; more the later it comes. Where nothing rises all is alike."""
    turns = np.arange(400) / 80  # a rise and fall takes 0.4 s
    counts = np.ones((1, 56), np.float32)
    unlikeness = jax.jit(learn._unlikeness)

    def level(turns, height=1.0):
        rise = height * np.sin(2 * np.pi * turns)
        return np.float32(10 ** np.tile(rise[:, np.newaxis], (1, 1, 56)))

    def of(*other):
        return float(unlikeness(level(*other), level(turns), counts))

    assert of(turns) < 2e-3
    assert of(turns, 0.5) < 0.05
    assert of(turns, 0.0) > 0.3
    delays = [of(turns + part) for part in (0.02, 0.06, 0.1, 0.25, 0.5)]
    assert delays == sorted(delays)
    assert 0.5 < delays[3] < 0.9
    assert delays[4] > 1.2
