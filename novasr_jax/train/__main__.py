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
from pathlib import Path
from typing import Any

import numpy as np

from novasr_np import __version__
from novasr_np.spec import SAMPLE_RATE_OUT
from novasr_np.weights import file_sha256, load_weights, save_weights, weights_path

from . import data, state
from .state import Plan

_TRIAL = 30  # steps from which --minutes is turned into a number of steps
_LOG_EVERY = 50  # steps
_SAVE_EVERY = 500  # steps


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m novasr_jax.train", description=__doc__.splitlines()[0]
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
    parser.add_argument("--rate", type=float, default=3e-3, help="of learning, at its highest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--licence", default="", help="of the weights, for the file")
    args = parser.parse_args()

    checkpoint = args.output.with_suffix(".state.npz")
    if args.resume:
        plan, now = state.resume(checkpoint)
    else:
        plan = Plan(args.steps or 0, batch=args.batch, rate=args.rate, seed=args.seed)
    recordings = data.read(args.data, args.folders, data.shortest(plan.samples))
    minutes = sum(len(r.samples) for r in recordings) / SAMPLE_RATE_OUT / 60
    print(f"{len(recordings)} recordings, {minutes:.1f} minutes", flush=True)
    if not args.resume:
        if args.minutes:
            plan = plan._replace(steps=_steps_within(args.minutes, plan, recordings))
        now = state.initial(plan)
        if args.init:
            plan = plan._replace(
                init=f"{Path(args.init).name}, sha256 {file_sha256(weights_path(args.init))}"
            )
            now = _begin_with(args.init, now)

    curve = args.output.with_suffix(".csv")
    if not args.resume:
        curve.write_text("step,loss,learning_rate,seconds\n")
    start, losses = time.perf_counter(), []
    for batch in _ahead(recordings, plan, now.step):
        now, loss = state.advance(plan, now, batch)
        losses.append(loss)
        if now.step % _LOG_EVERY == 0 or now.step == plan.steps:
            mean = float(np.mean(losses))
            rate = float(state.learning_rate(plan)(now.step))
            seconds = time.perf_counter() - start
            with open(curve, "a", newline="") as file:
                csv.writer(file).writerow(
                    [now.step, f"{mean:.5f}", f"{rate:.3g}", f"{seconds:.0f}"]
                )
            print(f"{now.step} / {plan.steps}: loss {mean:.4f}, {seconds:.0f} s", flush=True)
            losses = []
        if now.step % _SAVE_EVERY == 0 or now.step == plan.steps:
            state.save(checkpoint, plan, now)
    with open(curve, newline="") as file:
        *_, last = csv.DictReader(file)
    save_weights(
        state.tree({name: np.asarray(value) for name, value in now.averaged.items()}),
        args.output,
        provenance=_provenance(args, plan, recordings) + f"; loss at the end {last['loss']}",
        licence=args.licence,
        dtype=np.float16,
    )
    _draw(curve, args.output.with_suffix(".png"))


def _provenance(args, plan, recordings) -> str:
    """What it takes to do the run again."""
    command = f"--data {args.data.name} --folders {' '.join(args.folders)} -o {args.output.name}"
    command += f" --steps {plan.steps} --batch {plan.batch} --rate {plan.rate} --seed {plan.seed}"
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
    git = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
    ]
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
    params = load_weights(source)
    trained = {}
    for name in now.trained:
        value: Any = params
        for part in name.split("."):
            value = value[part]
        trained[name] = np.asarray(value, np.float32)
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


def _draw(curve: Path, target: Path) -> None:
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
