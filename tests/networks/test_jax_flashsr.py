"""FlashSR in JAX against the original's outputs, and its layers against those in numpy."""

import re
from functools import partial

import numpy as np
import pytest
from conftest import check
from material import FLASHSR_SMALL, compare, compare_stages, flashsr_golden, flashsr_weights

jax = pytest.importorskip("jax", reason="needs the extra jax")

import jax.numpy as jnp  # noqa: E402

from novasr_jax import fast, layers  # noqa: E402
from novasr_jax.networks.flashsr import model, unet, vae, vocoder  # noqa: E402
from novasr_np import layers as in_numpy  # noqa: E402
from novasr_np.networks.flashsr import unet as numpys_unet  # noqa: E402
from novasr_np.networks.flashsr.model import Inputs  # noqa: E402
from novasr_np.networks.flashsr.sampler import embedding, schedule  # noqa: E402
from novasr_np.networks.flashsr.spec import LAST, STEP, TAPS  # noqa: E402
from novasr_np.tensors import cast, flatten  # noqa: E402

# Large programs are compiled here to be run once: the compiler is not to try hard.
QUICK = {"xla_backend_optimization_level": 0}
WIDTH = FLASHSR_SMALL.unet
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def golden():
    return flashsr_golden()


@pytest.fixture(scope="module")
def weights():
    return flashsr_weights()


def run(function, *given):
    return jax.jit(function, compiler_options=QUICK)(*given)


def channels_first(stages, signals=False):
    """Images, or signals too, as numpy's stages have them; sequences have channels last there."""
    axes = (3, 4) if signals else (4,)
    stages = {name: np.asarray(x) for name, x in stages.items()}
    return {name: np.moveaxis(x, -1, 1) if x.ndim in axes else x for name, x in stages.items()}


def channels_last(x):
    return np.moveaxis(np.float64(x), 1, -1)


def test_the_vocoders_parts_are_the_originals(weights, golden, x64):
    """The pyramid, one level's branches, an activation in its three steps: all compiled soon."""
    p = cast(weights["vocoder"], np.float64)
    first, filter = p["resblocks"]["0"]["activations"]["0"], np.float64(golden["voc.filter"])
    before = channels_last(golden["voc.up.1"] + golden["voc.pyramid.3"])
    branches = [p["resblocks"][str(len(TAPS) + j)] for j in range(len(TAPS))]

    def parts(p, first, branches, wave, before, x, shortest):
        found = {f"pyramid.{i}": y for i, y in enumerate(vocoder.pyramid(p, wave, "highest"))}
        for j, branch in enumerate(branches):
            found[f"level.1.amp.{j}"] = vocoder.residual(branch, before, "highest")
        found["act.up"] = layers.upsample2(x, filter)
        found["act.snake"] = layers.snake_beta(found["act.up"], **first["act"], epsilon=2e-9)
        found["act.out"] = vocoder.activation(first, x)
        return found | {"act.tiny": vocoder.activation(first, shortest)}

    sounds = [channels_last(golden[name]) for name in ("voc.act.in", "act.tiny.in")]
    wave = np.float64(golden["voc.lr"])
    got = run(parts, p["audio_block"], first, branches, wave, before, *sounds)
    got = channels_first(got, signals=True)
    compare(got.pop("act.tiny"), golden["act.tiny.out"], np.float64, "act.tiny")
    for name, y in got.items():
        compare(y, golden[f"voc.{name}"], np.float64, name)


@SLOW
def test_the_whole_vocoder_is_the_originals(weights, golden, x64):
    p = cast(weights["vocoder"], np.float64)
    bands, wave = channels_last(golden["voc.mel"]), np.float64(golden["voc.lr"])
    got = channels_first(run(lambda *x: dict(vocoder.stages(*x)), p, bands, wave), signals=True)
    parts = ("mel", "lr", "filter", "act.in", "act.up", "act.snake", "act.out")
    compare_stages(got, golden, "voc", np.float64, given=parts)


def test_the_autoencoder_is_the_originals(weights, golden, x64):
    p = cast(weights["vae"], np.float64)
    x, z = (channels_last(golden[f"vae.{name}"]) for name in "xz")
    got = run(lambda p, x, z: dict(vae.encode(p, x)) | dict(vae.decode(p, z)), p, x, z)
    compare_stages(channels_first(got), golden, "vae", np.float64, given=("x", "z"))
    moments, eps = (channels_last(golden[f"posterior.{x}"]) for x in ("moments", "eps"))
    got = channels_first({"sample": vae.posterior(moments, eps)})
    compare_stages(got, golden, "posterior", np.float64, given=("moments", "eps"))
    np.testing.assert_array_equal(vae.posterior(moments), moments[..., :4])


def test_a_short_unet_is_numpys(weights, golden, x64):
    """Down once and up again through blocks of every kind, the woven ones included.

    numpy's is compared with the original in test_flashsr; the whole takes long to compile.
    """
    p = cast(weights["unet"], np.float64)
    down, up = p["input_blocks"], p["output_blocks"]
    p |= {
        "input_blocks": {"0": down["0"], "1": down["3"], "2": down["4"]},
        "middle_block": down["5"],
        "output_blocks": {"0": up["7"], "1": up["8"], "2": up["9"]},
    }
    x = np.concatenate([golden["unet.x"], golden["unet.cond"]], axis=1)
    step = embedding(500, WIDTH)
    want = dict(numpys_unet.stages(p, np.float64(x), step))
    stages = run(lambda *x: dict(unet.stages(*x)), p, channels_last(x), step[None])
    got = channels_first(stages)
    assert got.keys() == want.keys()
    for name, y in want.items():
        compare(got[name], y, np.float64, name)


@SLOW
def test_the_whole_unet_is_the_originals(weights, golden, x64):
    p = cast(weights["unet"], np.float64)
    x = np.concatenate([golden["unet.x"], golden["unet.cond"]], axis=1)
    program = jax.jit(lambda *given: dict(unet.stages(*given)), compiler_options=QUICK)
    made = {
        t: program(p, channels_last(x), embedding(t, WIDTH)[np.newaxis]) for t in (1, 500, LAST)
    }
    got = {**made[LAST], "v.t1": made[1]["v"], "v.t500": made[500]["v"]}
    given = ("x", "cond", "v.f32_embedding")
    compare_stages(channels_first(got), golden, "unet", np.float64, given)


@pytest.fixture(scope="module")
def windows(golden):
    """Two: one's condition is drawn, the other's is the mean, as without a draw."""
    x = golden["e2e.audio_int16"] / 32768
    normalised = (x - golden["e2e.norm.mean"]) / (golden["e2e.norm.max"] + 1e-8) / 2
    eps = golden["e2e.eps"].copy()
    eps[1] = 0
    step = embedding(LAST, WIDTH), *(float(part[LAST]) for part in schedule())
    return Inputs(normalised, golden["e2e.mel"], golden["e2e.x_T"], eps, *step)


def given(windows, dtype):
    return [np.asarray(part, dtype) for part in model.inputs(windows)]


def products(lowered):
    """Of each convolution and matrix product: its operands' types, its result's, its text."""
    text = lowered.as_text().splitlines()
    lines = [line for line in text if re.search(r"\.(convolution|dot_general)\b", line)]
    return [(*re.findall(r"tensor<[\dx]*x(\w+)>", line), line) for line in lines]


def test_every_product_is_in_bf16_if_one_is(weights, windows):
    """And `vmap` has more windows."""
    folded = model.fold(weights, np.float32, "bf16")
    for name, tensor in flatten(folded).items():
        kernel = tensor.ndim > 1 and not name.endswith("filter")
        assert tensor.dtype == (jnp.bfloat16 if kernel else np.float32), name
    stacked = [np.stack([part] * 3) for part in given(windows, np.float32)]
    function = jax.vmap(partial(model.forward, precision="bf16"), (None, *[0] * 7))
    lowered = jax.jit(function).lower(folded, *stacked)
    assert lowered.out_info.shape == (3, 2, STEP)
    found = products(lowered)
    assert len(found) > 300
    for *types, line in found:
        assert types == ["bf16", "bf16", "f32"], line


@SLOW
def test_windows_end_to_end_exported_for_all_platforms(weights, golden, windows):
    """In float32; a row of NaN beside it leaves a window as it is."""
    export = pytest.importorskip("jax.export")
    arguments = model.fold(weights, np.float32), *given(windows, np.float32)
    function = jax.jit(lambda *given: dict(model.stages(*given)))
    exported = export.export(function, platforms=("cpu", "cuda", "tpu"))(*arguments)
    again = export.deserialize(exported.serialize())
    assert set(again.platforms) == {"cpu", "cuda", "tpu"}
    program = jax.jit(again.call, compiler_options=QUICK)
    got = channels_first(program(*arguments))
    level = golden["e2e.norm.max"] + 1e-8, golden["e2e.norm.mean"]
    got["wave"] = (2 * got["wave_norm"] * level[0] + level[1]).astype(np.float32)
    inputs = {"audio_int16", "eps", "x_T", "norm.mean", "norm.max"}
    names = {name.removeprefix("e2e.") for name in golden if name.startswith("e2e.")} - inputs
    for name in sorted(names):
        kind, stage = name.split(".", 1) if "." in name else ("", name)
        rows = {"sample": slice(0, 1), "mean": slice(1, 2), "": slice(None)}[kind]
        compare(got[stage][rows], golden[f"e2e.{name}"][rows], np.float32, name)
    folded, *rows = arguments
    broken = [np.concatenate([np.full_like(part[:1], np.nan), part[1:]]) for part in rows]
    other = np.asarray(program(folded, *broken)["wave_norm"])
    assert np.isnan(other[0]).all()
    np.testing.assert_array_equal(other[1], got["wave_norm"][1])


@SLOW
def test_what_half_precision_costs_in_the_end(weights, golden, windows):
    precision = "bf16"
    folded = model.fold(weights, np.float32, precision)
    arguments = [part[1:] for part in given(windows, np.float32)]
    (got,) = run(partial(model.forward, precision=precision), folded, *arguments)
    want = golden["e2e.mean.wave_norm"][1]
    error = np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2))
    assert 1e-3 < error < 0.05


def test_what_a_window_cannot_be(weights, windows):
    folded, right = model.fold(weights), given(windows, np.float32)

    def refused(error, match, precision="highest", **changed):
        places = {name: Inputs._fields.index(name) for name in changed}
        wrong = list(right)
        for name, place in places.items():
            wrong[place] = changed[name]
        with pytest.raises(error, match=match):
            jax.eval_shape(lambda *x: model.forward(*x, precision=precision), folded, *wrong)

    x, mel, noise, *_ = right
    refused(ValueError, "at least 30720 samples", normalised=x[:, 1:])
    refused(
        ValueError,
        r"a multiple of 30720, got shape \(2, 30721\)",
        normalised=x[:, [0, *range(STEP)]],
    )
    refused(ValueError, r"must be \[B, T\]", normalised=x[0])
    refused(ValueError, r"mel must have shape \(2, 1, 64, 128\), got \(2, 64, 128\)", mel=mel[:, 0])
    refused(
        ValueError,
        r"noise must have shape \(2, 8, 8, 16\), got \(2, 7, 8, 16\)",
        noise=noise[:, 1:],
    )
    refused(ValueError, r"eps must have shape \(2, 8, 8, 16\), got \(1, 8, 8, 16\)", eps=noise[1:])
    refused(TypeError, "float32 or float64, got int16", normalised=x.astype(np.int16))
    refused(ValueError, "'double'", "double")


def image(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def last(x):
    """Channels last instead of first, of images."""
    return np.moveaxis(x, -3, -1)


SHAPES = pytest.mark.parametrize("shape", [(6, 3, 2), (2, 3, 6, 4, 5)])
OPTIONS = [{}, {"stride": 2}, {"stride": 2, "pads": (0, 1)}, {"pads": (2, 1)}]


@SHAPES
def test_layers_of_images_are_numpys(shape, x64):
    x, weight, bias, scale = image(*shape), image(5, 6, 3, 3), image(5), image(6)
    cases = [("conv2d", (weight, bias), options) for options in OPTIONS]
    cases += [("group_norm", (scale, 2 * scale, 3), o) for o in ({}, {"epsilon": 0.3})]
    cases += [("gelu", (), {}), ("repeat2", (), {})]
    got = run(lambda x: [getattr(layers, n)(x, *a, **o) for n, a, o in cases], last(x))
    for y, (name, arguments, options) in zip(got, cases, strict=True):
        want = getattr(in_numpy, name)(x, *arguments, **options)
        check(y, last(want), 1e-12, f"{name} {options}")


@SHAPES
def test_upsampling_conv2d_is_a_convolution_of_what_is_repeated(shape, x64):
    x, weight, bias = image(*shape), image(5, 6, 3, 3), image(5)
    want = in_numpy.conv2d(in_numpy.repeat2(x), weight, bias)
    check(run(fast.upsampling_conv2d, last(x), weight, bias), last(want), 1e-12)


def test_layers_of_signals_are_numpys(x64):
    x, y = image(2, 3, 20), image(2, 3, 5)
    cases = [("conv1d", (x, image(4, 3, 5)), {"stride": 3})]
    unpadded = {"stride": 2, "padded": False, "dilation": 2}
    cases.append(("conv1d", (x, image(4, 3, 6), image(4)), unpadded))
    for taps, stride, padding in ((4, 2, 1), (7, 3, 2), (2, 3, 0), (20, 10, 5)):
        arguments = y, image(3, 4, taps), image(4), stride, padding
        cases.append(("conv_transpose1d", arguments, {}))
    got = run(lambda: [getattr(layers, n)(a[0].swapaxes(1, 2), *a[1:], **o) for n, a, o in cases])
    for z, (name, arguments, options) in zip(got, cases, strict=True):
        want = getattr(in_numpy, name)(*arguments, **options)
        check(z, want.swapaxes(1, 2), 1e-12, f"{name} {options}")


def test_attention_is_numpys(x64):
    q, k, v = image(3, 2, 5, 12)
    for heads in (1, 3):
        got = run(lambda *x, heads=heads: layers.attention(*x, heads), q, k, v)
        check(got, in_numpy.attention(q, k, v, heads), 1e-12)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_snake_beta_at_twice_is_numpys_in_three_steps(steps, x64):
    """With filters that are not symmetric, and not the same."""
    x, (up, down), (alpha, beta) = image(2, 3, steps), image(2, 12), image(2, 3)
    u = in_numpy.snake_beta(in_numpy.upsample2(x, up), alpha, beta, epsilon=0.3)
    want = in_numpy.downsample2(u, down, pad="edge")
    got = run(fast.snake_beta_at_twice, x.swapaxes(1, 2), up, down, alpha, beta, 0.3)
    check(got.swapaxes(1, 2), want, 1e-12)


def test_cosine_of_turns_is_exact_far_from_zero(x64):
    turns = np.concatenate([np.linspace(-2, 2, 4001), [1e3, -12345.25]])
    for dtype, near in ((np.float64, 1e-14), (np.float32, 2e-7)):
        rounded = turns.astype(dtype)
        want = np.cos(2 * np.pi * (np.float64(rounded) % 1))
        check(run(fast.cos_turns, rounded), want, near)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_of_the_operands_alone(precision):
    """What is given rounded comes out as in full precision; what is not does not."""
    half = layers.PRECISIONS[precision][1]
    cases = {
        "conv2d": ((1, 6, 5, 4), (7, 4, 3, 3), (7,)),
        "upsampling_conv2d": ((1, 6, 5, 4), (7, 4, 3, 3), (7,)),
        "conv_transpose1d": ((1, 9, 4), (4, 3, 4), (3,), 2, 1),
        "conv1d": ((1, 9, 4), (7, 4, 3), (7,)),
        "linear": ((5, 4), (3, 4), (3,)),
        "attention": ((5, 4), (5, 4), (5, 4)),
    }
    # These round more inside: the sums of taps, and the shares.
    near = {"upsampling_conv2d": 0.1, "attention": 0.01}
    exact, rounded = {}, {}
    for name, (*shapes, third) in {n: (*c[:2], c[2]) for n, c in cases.items()}.items():
        x, y, z = (image(*shape).astype(np.float32) for shape in (*shapes, third))
        exact[name] = x, y, z
        rounded[name] = *(np.asarray(v.astype(half), np.float32) for v in (x, y)), z

    def made(given, precision):
        return {
            name: getattr(layers if name in layers.__all__ else fast, name)(
                *x, *cases[name][3:], precision=precision
            )
            for name, x in given.items()
        }

    made = jax.jit(made, static_argnums=1, compiler_options=QUICK)
    got, same = made(exact, precision), made(rounded, precision)
    want, other = made(rounded, "highest"), made(exact, "highest")
    # A CPU has this precision only; on accelerators it has to be asked for.
    for *_, line in products(made.lower(exact, "highest")):
        assert line.count("HIGHEST") == 2, line
    for name in cases:
        assert got[name].dtype == np.float32
        check(same[name], want[name], near.get(name, 1e-5), name)
        if name != "upsampling_conv2d":
            check(got[name], same[name], near.get(name, 0), name)
        assert np.abs(got[name] - other[name]).max() > 1e-4, name


def test_gradients_and_vmap_of_layers(x64):
    x, weight = image(2, 4, 3, 6), image(6, 6, 3, 3)
    taps, values = image(12), weight[0, :, 0, 0]
    functions = {
        "conv2d": lambda x: layers.conv2d(x, weight, 0, stride=2),
        "upsampling_conv2d": lambda x: fast.upsampling_conv2d(x, weight, 0),
        "group_norm": lambda x: layers.group_norm(x, values, 0, 3),
        "attention": lambda x: layers.attention(x[0], x[1], x[1] * values, 2),
        "snake_beta_at_twice": lambda x: fast.snake_beta_at_twice(x, taps, taps, values, values),
    }
    direction = image(*x.shape, 1)[..., 0]

    def moved(step):
        return {name: f(x + step * direction) for name, f in functions.items()}

    def energies(step):
        return {name: (y**2).sum() for name, y in moved(step).items()}

    slopes, high, low = run(
        lambda h: (jax.jacobian(energies)(0.0), energies(h), energies(-h)), 1e-6
    )
    for name, slope in slopes.items():
        quotient = (high[name] - low[name]) / 2e-6
        assert abs(slope - quotient) <= 1e-6 * abs(quotient), name
    steps = np.array([0.0, 1.0, 2.0])
    each, alone = run(lambda steps: (jax.vmap(moved)(steps), moved(steps[2])), steps)
    for name, y in alone.items():
        check(each[name][2], y, 1e-11, name)
