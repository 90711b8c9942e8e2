"""Train weights from random numbers, or resume a run.

    python -m novasr_jax.train --network airband --data MANIFEST --folders train --minutes 20 \
        -o NAME.safetensors

Writes, next to the weights, NAME.csv and NAME.png (the curve) and NAME.state.npz, from which
--resume continues exactly where the run stopped.
"""

import argparse
import csv
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from novasr_np import __version__
from novasr_np.tensors import flatten
from novasr_np.weights import file_sha256, load_weights, save_weights, weights_path

from . import ahead, airband, data, novasr, state
from .state import Recipe, TrainingPlan

RECIPES = {recipe.plan.network: recipe for recipe in (novasr.RECIPE, *airband.RECIPES)}

_TRIAL, _TRIAL_SECONDS = 2000, 15  # steps timed to convert --minutes to steps, or as many seconds
_LOG_EVERY = 50  # steps
_SAVE_EVERY = 500  # steps


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with `argv` (default: the process's)."""
    args = _parser().parse_args(argv)
    recordings, plan, now = _prepare(args)
    recipe = RECIPES[plan.network]
    now = _train(args, recipe, recordings, plan, now)
    curve = args.output.with_suffix(".csv")
    with open(curve, newline="") as file:
        *_, last = csv.DictReader(file)
    averaged = {name: np.asarray(value) for name, value in now.averaged.items()}
    if plan.lift:
        averaged = recipe.lift(averaged, *_points(plan.lift))
    save_weights(
        recipe.tree(averaged),
        args.output,
        provenance=_provenance(args, plan, recordings) + f"; loss at the end {last['loss']}",
        licence=args.licence,
        dtype=np.float16,
    )
    _plot(curve, args.output.with_suffix(".png"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m novasr_jax.train", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--network", choices=tuple(RECIPES), default="airband", help="%(default)s")
    parser.add_argument("--data", type=Path, required=True, metavar="MANIFEST", help="JSON lines")
    parser.add_argument(
        "--folders", nargs="+", required=True, help="folders of the data to train on"
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="FOLDER",
        help="folder of a network's outputs for the same data",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.safetensors")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="steps of the run, which is exactly repeatable")
    length.add_argument("--minutes", type=float, help="minutes of the run, by a trial of the speed")
    length.add_argument("--resume", action="store_true", help="continue from NAME.state.npz")
    parser.add_argument(
        "--init",
        nargs="+",
        metavar="WEIGHTS",
        help="initial weights, instead of random numbers; the mean of several",
    )
    parser.add_argument("--batch", type=int, help="crops in a batch; default: the network's")
    parser.add_argument(
        "--learning-rate", type=float, help="highest learning rate; default: the network's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--lift",
        nargs="+",
        default=[],
        metavar="HZ:DB",
        help="dB by which the levels are raised at the end, interpolated between frequencies",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="workers that make crops; they do not change the result",
    )
    parser.add_argument("--licence", default="", help="licence of the weights, noted in the file")
    return parser


def _prepare(args: argparse.Namespace) -> tuple[list[data.Recording], TrainingPlan, state.State]:
    """Prepare the recordings, the plan, and the state, initial or resumed."""
    if args.resume:
        path = args.output.with_suffix(".state.npz")
        recipe = RECIPES[state.saved_plan(path).network]
        plan, now = state.resume(path, recipe)
        return _read(args, recipe, plan), plan, now
    recipe = RECIPES[args.network]
    if args.lift and recipe.lift is None:
        raise SystemExit(f"--lift must be left out for {args.network}, which predicts no levels")
    _points(" ".join(args.lift))
    given = {
        "steps": args.steps,
        "batch": args.batch,
        "learning_rate": args.learning_rate,
        "seed": args.seed,
        "lift": " ".join(args.lift),
    }
    plan = recipe.plan._replace(**{k: v for k, v in given.items() if v is not None})
    recordings = _read(args, recipe, plan)
    if args.minutes:
        plan = plan._replace(steps=_steps_within(args, recipe, plan, recordings))
    now = state.begin(recipe, plan)
    if args.init:
        plan = plan._replace(
            init=" and ".join(
                f"{Path(init).name}, sha256 {file_sha256(weights_path(init))}" for init in args.init
            )
        )
        now = _begin_with(args.init, now)
    args.output.with_suffix(".csv").write_text("step,loss,learning_rate,seconds\n")
    return recordings, plan, now


def _read(args: argparse.Namespace, recipe: Recipe, plan: TrainingPlan) -> list[data.Recording]:
    shortest = recipe.shortest(plan)
    recordings = data.read(args.data, args.folders, shortest, args.teacher, recipe.most)
    minutes = sum(len(r.samples) for r in recordings) / data.SAMPLE_RATE_OUT / 60
    taught = sum(r.taught for r in recordings)
    more = f", {taught} with a teacher" if args.teacher else ""
    print(f"{len(recordings)} recordings, {minutes:.1f} minutes{more}", flush=True)
    return recordings


def _train(
    args: argparse.Namespace,
    recipe: Recipe,
    recordings: list[data.Recording],
    plan: TrainingPlan,
    now: state.State,
) -> state.State:
    """Take all remaining steps, and write the curve and the state to files meanwhile."""
    held = recipe.hold(recordings)
    start, losses = time.perf_counter(), []
    for batch in ahead.batches(recipe, recordings, plan, now.step, args.workers):
        now, loss = state.advance(recipe, plan, now, batch, held)
        losses.append(loss)
        if now.step % _LOG_EVERY == 0 or now.step == plan.steps:
            mean = float(np.mean(losses))
            rate = float(state.schedule(plan)(now.step))
            seconds = time.perf_counter() - start
            with open(args.output.with_suffix(".csv"), "a", newline="") as file:
                csv.writer(file).writerow(
                    [now.step, f"{mean:.5f}", f"{rate:.3g}", f"{seconds:.0f}"]
                )
            print(f"{now.step} / {plan.steps}: loss {mean:.4f}, {seconds:.0f} s", flush=True)
            losses = []
        if now.step % _SAVE_EVERY == 0 or now.step == plan.steps:
            state.save(args.output.with_suffix(".state.npz"), plan, now)
    return now


def _provenance(args, plan, recordings) -> str:
    """Describe all that is needed to repeat the run."""
    command = f"--network {plan.network} --data {args.data.name} --folders"
    command += f" {' '.join(args.folders)} -o {args.output.name}"
    command += f" --teacher {args.teacher.name}" if args.teacher else ""
    command += f" --steps {plan.steps} --batch {plan.batch} --seed {plan.seed}"
    command += f" --learning-rate {plan.learning_rate}"
    command += f" --lift {plan.lift}" if plan.lift else ""
    minutes: dict[str, float] = {}
    for r in recordings:
        source = f"{r.source} ({r.licence})"
        minutes[source] = minutes.get(source, 0) + len(r.samples) / data.SAMPLE_RATE_OUT / 60
    heard = ", ".join(f"{source} {m:.1f} min" for source, m in sorted(minutes.items()))
    return (
        f"python -m novasr_jax.train {command}; from {plan.init}; novasr-np {__version__}, "
        f"commit {_commit()}; data: {heard}"
    )


def _commit() -> str:
    """Commit of the checkout that this runs from, if it is one."""
    folder = str(Path(__file__).parent)
    git = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _steps_within(args, recipe, plan, recordings) -> int:
    """Number of steps that this machine takes in --minutes."""
    trial = plan._replace(steps=_TRIAL)
    now, held = state.begin(recipe, trial), recipe.hold(recordings)
    # The first steps are compiled, and wait for the workers to start.
    first, start = 2 + args.workers, 0.0
    batches = ahead.batches(recipe, recordings, trial, 0, args.workers)
    for batch in batches:
        now, loss = state.advance(recipe, trial, now, batch, held)
        if now.step == first:
            jax.block_until_ready(loss)
            start = time.perf_counter()
        elif now.step > first and time.perf_counter() > start + _TRIAL_SECONDS:
            break
    batches.close()
    jax.block_until_ready(now.trained)
    seconds = time.perf_counter() - start
    return max(1, int(60 * args.minutes * (now.step - first) / seconds))


def _begin_with(sources: Sequence[str], now: state.State) -> state.State:
    """Begin with the mean of some weights."""
    flat = [flatten(load_weights(source).params) for source in sources]
    trained = {
        name: np.mean([np.asarray(one[name], np.float32) for one in flat], axis=0)
        for name in now.trained
    }
    return now._replace(trained=trained, averaged=trained)


def _points(lift: str) -> tuple[list[float], list[float]]:
    """Parse "HZ:DB ..." to frequencies, which must rise, and dB."""
    try:
        points = [tuple(map(float, point.split(":"))) for point in lift.split()]
        hertz, decibels = [hz for hz, _ in points], [db for _, db in points]
    except ValueError:
        raise SystemExit(f"--lift must be HZ:DB ..., got {lift}") from None
    if hertz != sorted(hertz):
        raise SystemExit(f"--lift must have rising frequencies, got {lift}")
    return hertz, decibels


def _plot(curve: Path, target: Path) -> None:
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    steps, losses, *_ = np.loadtxt(curve, delimiter=",", skiprows=1, ndmin=2).T
    figure, axis = pyplot.subplots(layout="constrained")
    axis.plot(steps, losses)
    axis.set(xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(target)


if __name__ == "__main__":
    main()
