"""`novasr corpus`: upsample a whole dataset, and resume where a run stopped."""

import argparse
import dataclasses
import importlib.util
import os
import sys
import time
from functools import partial
from typing import Any

from .. import weights
from ..corpus import feeding, ledger, manifest
from ..corpus.plan import Plan, Task, make_plan, settings_hash
from ..corpus.worker import Engine, job_of, run_rows
from ..dsp.resample import import_soxr
from ..errors import message, missing_extra
from ..files import formats
from ..files.convert import Options
from ..files.find import passed_over
from ..threads import available_cores
from .messages import (
    EXIT_DONE,
    EXIT_SOME_FAILED,
    Bar,
    say,
    say_passed_over,
    show,
    show_json,
    usage,
)
from .options import (
    add_backend,
    add_choices,
    add_network,
    backend,
    choices,
    for_workers,
    positive,
)

_NOTES = """\
TARGET gets SOURCE's folder tree, and results.jsonl (with the package pyarrow, results.parquet too):
one row for each recording and target. To continue after an interruption, start the same command
again: targets that are complete, made with the same weights and options from the same source, are
skipped.

exit status: 0 all done; 1 some recordings failed, now or before (results.jsonl says why), or the
disk is full; 2 wrong usage; 130 interrupted
"""


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "corpus",
        help="upsample a whole dataset, and resume where a run stopped",
        description="Upsample a dataset to 48 kHz, and resume where an earlier run stopped.",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument(
        "source",
        metavar="SOURCE",
        help="folder of recordings; manifest (.csv, .jsonl, .parquet) with a column source and, "
        "optionally, id and target; or a folder's URI, such as s3://bucket/speech",
    )
    p.add_argument("target", metavar="TARGET", help="output folder, local or mounted")
    add_network(p)
    p.add_argument(
        "--channels",
        choices=("each", "first", "mono"),
        default="each",
        help="channels to write: each one (default), the first only, or their mean (mono)",
    )
    p.add_argument(
        "--format",
        choices=tuple(formats.FORMATS),
        default="flac",
        help="file format of the outputs; default: flac",
    )
    p.add_argument(
        "--subtype", help="sample encoding of the outputs, by libsndfile's name, such as PCM_24"
    )
    p.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="number of worker processes; default: one per core, on a cluster as many workers as "
        "it has room for",
    )
    p.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip recordings that are done (default)",
    )
    p.add_argument(
        "--retry-failed", action="store_true", help="try recordings that failed before again"
    )
    p.add_argument(
        "--limit", type=positive, metavar="N", help="largest number of recordings to process"
    )
    p.add_argument("--dry-run", action="store_true", help="list the recordings left to do, and end")
    loud = p.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="report failures only")
    loud.add_argument(
        "--json", action="store_true", help="print the summary as JSON on standard output"
    )
    add_choices(p)
    add_backend(p)
    r = p.add_argument_group("many machines (extra cluster)")
    r.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where the workers run: on this machine, or on a Ray cluster; default: local",
    )
    r.add_argument(
        "--address", help="address of the Ray cluster; default: start one on this machine"
    )
    r.add_argument("--cpus", type=float, metavar="N", help="CPUs for each worker; default: 1")
    r.add_argument("--gpus", type=float, metavar="N", help="GPUs for each worker; default: 0")
    r.add_argument("--tpus", type=float, metavar="N", help="TPU chips for each worker; default: 0")


def _main(args: argparse.Namespace) -> int:
    try:
        rows, task, engine = _prepare(args)
        plan = make_plan(
            rows,
            ledger.load_results(args.target),
            task,
            resume=args.resume,
            retry_failed=args.retry_failed,
            limit=args.limit,
        )
    except (OSError, ValueError, ModuleNotFoundError) as error:
        usage(error)
    if os.path.isdir(args.source) and not (args.quiet or args.json):
        say_passed_over(passed_over(args.source))
    # The longest first, so that no long one starts when all others are done.
    left = sorted(plan.left, key=lambda row: -row.bytes)
    with _Progress(plan, args) as progress:
        for result in plan.refused:
            progress(result)
        if args.dry_run:
            for row in left if not (args.json or args.quiet) else ():
                show(f"{row.source} -> {os.path.join(args.target, row.target)}")
            return EXIT_SOME_FAILED if plan.refused else EXIT_DONE
        try:
            with ledger.Ledger(args.target) as log:
                for result in plan.refused:
                    log.add(result)
                task = dataclasses.replace(task, staging=str(log.staging))
                run_rows(left, task, log, engine, progress)
        except (OSError, ValueError) as error:
            say(f"novasr: {args.target}: {message(error)}")
            return EXIT_SOME_FAILED
    return EXIT_SOME_FAILED if progress.failed or plan.n_failed else EXIT_DONE


def _prepare(args: argparse.Namespace) -> tuple[manifest.Rows, Task, Engine]:
    """Prepare the rows, the task and the engine. Raises the error that wrong usage is."""
    formats.check_format(args.format, args.subtype)
    if args.resampler == "soxr":
        import_soxr()
    loaded = weights.load_weights(args.weights, args.variant)
    chosen_options = choices(args, loaded.network)
    chosen = backend(args, threads=1, options=chosen_options)
    engine = _engine(args)
    for name in ("source", "target"):
        if not getattr(args, name):
            raise ValueError(f"{name.upper()} must be a path, got ''")
    if manifest.is_uri(args.target):
        raise ValueError(f"TARGET must be a local or mounted folder, got {args.target}")
    if os.path.lexists(args.target) and not os.path.isdir(args.target):
        raise NotADirectoryError(f"TARGET must be a folder, got the file {args.target}")
    rows = manifest.read_rows(args.source, args.format)
    if os.path.isdir(args.source):
        source, target = os.path.realpath(args.source), os.path.realpath(args.target)
        if os.path.commonpath([source, target]) == source:
            raise ValueError(
                f"TARGET must be outside SOURCE, or outputs would become inputs; got {args.target} "
                f"inside {args.source}"
            )
    options = Options(
        # By its own name, which the settings' hash has
        resampler=loaded.network.resampler(args.resampler),
        keep_lowband=args.keep_lowband,
        edge=args.edge,
        channels=args.channels,
        format=args.format,
        subtype=args.subtype,
        if_exists="overwrite",
    )
    sent, variant = for_workers(args, loaded)
    task = Task(
        folder=args.target,
        staging="",
        options=options,
        weights=sent,
        variant=variant,
        backend=chosen,
        weights_sha256=weights.file_sha256(weights.weights_path(args.weights)),
        settings=settings_hash(
            options, chosen_options, backend=args.backend, precision=args.precision or "highest"
        ),
    )
    return rows, task, engine


def _engine(args: argparse.Namespace) -> Engine:
    if args.engine == "ray":
        if importlib.util.find_spec("ray") is None:
            raise missing_extra("--engine ray needs Ray", "cluster")
        from ..corpus import ray  # noqa: PLC0415

        return partial(
            ray.ray_data,
            jobs=args.jobs,
            address=args.address,
            cpus=1 if args.cpus is None else args.cpus,
            gpus=args.gpus or 0,
            resources={"TPU": args.tpus} if args.tpus else None,
        )
    for name in ("address", "cpus", "gpus", "tpus"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} needs --engine ray")
    jobs = args.jobs or available_cores()
    return lambda task, rows: feeding.processes(job_of(task), rows, jobs)


# Fields of a result that say where its time went, and words for them.
_SPENT = {"read_seconds": "reading", "compute_seconds": "computing", "write_seconds": "writing"}


class _Progress:
    """Progress shown to the user: a bar on a terminal, each failure, and a summary."""

    def __init__(self, plan: Plan, args: argparse.Namespace) -> None:
        self._plan, self._args = plan, args
        self._start = time.perf_counter()
        self._seconds = 0.0
        self._spent = dict.fromkeys(_SPENT, 0.0)
        self._saturated = 0
        self.done = self.failed = 0
        hidden = args.quiet or args.json or args.dry_run or not sys.stderr.isatty()
        self._bar = Bar(
            total=len(plan.refused) + len(plan.left), unit=" files", leave=False, disable=hidden
        )

    def __call__(self, result: ledger.Result) -> None:
        if result["status"] == "done":
            self.done += 1
            self._seconds += result["audio_seconds"]
            self._saturated += result["saturated"]
            for name in _SPENT:
                self._spent[name] += result[name]
        else:
            self.failed += 1
            say(f"novasr: {result['source']}: {result['error']}")
        self._bar.set_postfix_str(self._so_far(), refresh=False)
        self._bar.update()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_) -> None:
        """Print the summary, whatever ended the run."""
        self._bar.close()
        seconds = time.perf_counter() - self._start
        before = self._plan.n_failed
        if self._args.json:
            summary = {
                "done": self.done,
                "done_before": self._plan.n_done,
                "failed": self.failed,
                "failed_before": before,
                "left": self._plan.n_left + len(self._plan.refused) - self.done - self.failed,
                "audio_seconds": self._seconds,
                "work_seconds": seconds,
                **self._spent,
                "x_real_time": self._seconds / seconds,
                "saturated": self._saturated,
            }
            show_json(summary)
        elif self._args.dry_run:
            say(
                f"{len(self._plan.left)} to do, {self._plan.n_done} done, {before} failed before, "
                f"{self.failed} refused"
            )
        elif not self._args.quiet:
            say(f"{self.done} done, {self._plan.n_done} before; {self._so_far()}")
            if before:
                say(f"{before} failed before: --retry-failed tries them again")

    def _so_far(self) -> str:
        seconds = time.perf_counter() - self._start
        size, unit = next(
            u for u in ((3600, "h"), (60, "min"), (1, "s")) if u[0] <= max(1, self._seconds)
        )
        audio_time = f"{self._seconds / size:.2f} {unit}"
        return (
            f"{audio_time} of audio, {self._seconds / seconds:.0f} x real time, "
            f"{self.failed} failed{self._most()}"
        )

    def _most(self) -> str:
        """Say what the workers' time mostly goes to."""
        name = max(self._spent, key=lambda name: self._spent[name])
        total = sum(self._spent.values())
        if not total:
            return ""
        words = _SPENT[name]
        if name == "compute_seconds" and self._args.backend == "jax":
            words = "waiting for the device"
        return f"; {self._spent[name] / total:.0%} of the work is {words}"
