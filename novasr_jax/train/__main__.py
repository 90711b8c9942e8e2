"""Train weights from random numbers, or go on with a run.

    python -m novasr_jax.train --data MANIFEST --folders train --minutes 60 -o NAME.safetensors

Writes, next to the weights, NAME.csv and NAME.png (the curve) and NAME.state.npz, from which
--resume goes on exactly where it was.
"""

import argparse
import csv
import itertools
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from novasr_np import __version__
from novasr_np.networks.novasr.spec import SAMPLE_RATE_OUT
from novasr_np.tensors import flatten
from novasr_np.weights import file_sha256, load_weights, save_weights, weights_path

from . import data, state
from .state import Plan

_TRIAL = 30  # steps from which --minutes is turned into a number of steps
_LOG_EVERY = 50  # steps
_SAVE_EVERY = 500  # steps


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with `argv` (default: the process's)."""
    args = _parser().parse_args(argv)
    recordings, plan, now = _prepare(args)
    now = _train(args, recordings, plan, now)
    curve = args.output.with_suffix(".csv")
    with open(curve, newline="") as file:
        *_, last = csv.DictReader(file)
    save_weights(
        state.tree({name: np.asarray(value) for name, value in now.averaged.items()}),
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
    parser.add_argument("--data", type=Path, required=True, metavar="MANIFEST", help="JSON lines")
    parser.add_argument("--folders", nargs="+", required=True, help="of it, to learn from")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.safetensors")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="the length of the run: exactly repeatable")
    length.add_argument("--minutes", type=float, help="the same by a trial of this machine's speed")
    length.add_argument("--resume", action="store_true", help="go on from NAME.state.npz")
    parser.add_argument("--init", help="weights to begin with, instead of random numbers")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="at its highest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--licence", default="", help="of the weights, for the file")
    return parser


def _prepare(args: argparse.Namespace) -> tuple[list[data.Recording], Plan, state.State]:
    """The recordings, the plan, and the state to begin with or to go on from."""
    if args.resume:
        plan, now = state.resume(args.output.with_suffix(".state.npz"))
        return _read(args, plan), plan, now
    plan = Plan(args.steps or 0, batch=args.batch, learning_rate=args.learning_rate, seed=args.seed)
    recordings = _read(args, plan)
    if args.minutes:
        plan = plan._replace(steps=_steps_within(args.minutes, plan, recordings))
    now = state.initial(plan)
    if args.init:
        plan = plan._replace(
            init=f"{Path(args.init).name}, sha256 {file_sha256(weights_path(args.init))}"
        )
        now = _begin_with(args.init, now)
    args.output.with_suffix(".csv").write_text("step,loss,learning_rate,seconds\n")
    return recordings, plan, now


def _read(args: argparse.Namespace, plan: Plan) -> list[data.Recording]:
    recordings = data.read(args.data, args.folders, data.shortest(plan.samples))
    minutes = sum(len(r.samples) for r in recordings) / SAMPLE_RATE_OUT / 60
    print(f"{len(recordings)} recordings, {minutes:.1f} minutes", flush=True)
    return recordings


def _train(
    args: argparse.Namespace, recordings: list[data.Recording], plan: Plan, now: state.State
) -> state.State:
    """All steps that are left, with the curve and the state in files on the way."""
    start, losses = time.perf_counter(), []
    for batch in _ahead(recordings, plan, now.step):
        now, loss = state.advance(plan, now, batch)
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
    """What it takes to do the run again."""
    command = f"--data {args.data.name} --folders {' '.join(args.folders)} -o {args.output.name}"
    command += f" --steps {plan.steps} --batch {plan.batch} --seed {plan.seed}"
    command += f" --learning-rate {plan.learning_rate}"
    minutes: dict[str, float] = {}
    for r in recordings:
        source = f"{r.source} ({r.licence})"
        minutes[source] = minutes.get(source, 0) + len(r.samples) / SAMPLE_RATE_OUT / 60
    data = ", ".join(f"{source} {m:.1f} min" for source, m in sorted(minutes.items()))
    return (
        f"python -m novasr_jax.train {command}; from {plan.init}; novasr-np {__version__}, "
        f"commit {_commit()}; data: {data}"
    )


def _commit() -> str:
    """Of the checkout that this runs from, if it is one."""
    folder = str(Path(__file__).parent)
    git = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _steps_within(minutes, plan, recordings) -> int:
    """How many steps this machine takes in so many minutes."""
    trial = plan._replace(steps=_TRIAL)
    now = state.initial(trial)
    for batch in itertools.islice(data.batches(recordings, plan.batch, plan.samples, 1), _TRIAL):
        if now.step == 3:
            start = time.perf_counter()
        now, loss = state.advance(trial, now, batch)
        float(loss)
    return max(1, int(60 * minutes * (_TRIAL - 3) / (time.perf_counter() - start)))


def _begin_with(source, now):
    flat = flatten(load_weights(source))
    trained = {name: np.asarray(flat[name], np.float32) for name in now.trained}
    return now._replace(trained=trained, averaged=trained)


def _ahead(recordings, plan, start):
    """The run's remaining batches, made by a thread of its own while others are learnt from."""
    waiting: queue.Queue = queue.Queue(maxsize=4)

    def produce():
        batches = data.batches(recordings, plan.batch, plan.samples, plan.seed, start)
        for batch in itertools.islice(batches, plan.steps - start):
            waiting.put(batch)

    threading.Thread(target=produce, daemon=True).start()
    for _ in range(plan.steps - start):
        yield waiting.get()


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
