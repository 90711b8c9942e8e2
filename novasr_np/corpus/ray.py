"""Workers on many machines, by Ray Data."""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..samples import ceil_div
from ..threads import available_cores
from . import local, manifest
from .ledger import Result
from .manifest import Row
from .plan import Task
from .worker import failure, finish, open_worker

_ROWS = 16  # rows that an actor takes at once, at most; if it is killed, all are done again
MAX_ATTEMPTS = 3  # at a row, so that a file that kills its actor does not do so for ever


def ray_data(
    task: Task,
    rows: Iterable[Row],
    *,
    jobs: int | None = None,
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    resources: dict[str, float] | None = None,
    files_at_once: int = 1,
) -> Iterator[Result]:
    """Yield the results of rows, as they come, from `jobs` actors of a Ray cluster.

    The source and target folders must be the same on every node. jobs: None for as many as the
    cluster has room for. address: of a running cluster, as `ray.init` takes it; None starts one on
    this machine. cpus, gpus, resources: requirements of each actor, such as ``{"TPU": 4}``.
    files_at_once: number of rows in progress at once in each actor.

    Raises ValueError if the cluster has no room for these actors and one more CPU: without a CPU
    for its own tasks, Ray Data would wait for ever (ray issue 44687).
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    started = not ray.is_initialized()
    if started:
        options: dict[str, Any] = {"include_dashboard": False, "logging_level": "warning"}
        if address is None:
            options["num_cpus"] = int((jobs or available_cores()) * cpus + 1)
        ray.init(address, **options)
    try:
        each = {"CPU": cpus, "GPU": gpus, **(resources or {})}
        jobs = _room(ray.cluster_resources(), each, jobs)
        yield from _stream(ray, task, list(rows), jobs, each, files_at_once)
    finally:
        if started:
            ray.shutdown()


def _room(there: dict[str, float], each: dict[str, float], jobs: int | None) -> int:
    """Number of actors to start. Raises ValueError if there is no room."""
    free = there | {"CPU": there.get("CPU", 0) - 1}
    room = min(int(free.get(kind, 0) // n) for kind, n in each.items() if n)
    if room < (jobs or 1):
        needs = ", ".join(f"{n * (jobs or 1):g} {kind}" for kind, n in each.items() if n)
        has = ", ".join(f"{there.get(kind, 0):g} {kind}" for kind, n in each.items() if n)
        raise ValueError(
            f"the cluster must have {needs} for {jobs or 1} workers, and one CPU more for Ray "
            f"Data, got {has}"
        )
    return jobs or room


def _stream(
    ray: Any, task: Task, rows: list[Row], jobs: int, each: dict[str, float], files_at_once: int
) -> Iterator[Result]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # rows that never come back are reported below
    per_block = max(1, min(_ROWS, len(rows) // (8 * jobs)))
    blocks = ceil_div(len(rows), per_block)
    items = [{"row": json.dumps(row._replace(source=_absolute(row.source)))} for row in rows]
    task = dataclasses.replace(task, folder=_absolute(task.folder), staging=_absolute(task.staging))
    special = {kind: n for kind, n in each.items() if kind not in ("CPU", "GPU") and n}
    results = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
        _Actor,
        fn_constructor_args=(task, files_at_once),
        batch_size=per_block,
        compute=ray.data.ActorPoolStrategy(size=jobs),
        num_cpus=each["CPU"],
        **({"num_gpus": each["GPU"]} if each["GPU"] else {}),
        **({"resources": special} if special else {}),
    )
    missing = {row.id: row for row in rows}
    for item in results.iter_rows():
        result = json.loads(item["result"])
        if row := missing.pop(result["id"], None):
            yield result | {"source": row.source}
    for row in missing.values():
        yield failure(row, task, "Ray lost the recording: Ray's log says why")


def _absolute(path: str) -> str:
    """Make a path absolute for the other nodes, which have other working directories."""
    return path if manifest.is_uri(path) else os.path.abspath(path)


class _Actor:
    """Worker on one of the cluster's nodes."""

    def __init__(self, task: Task, files_at_once: int) -> None:
        self._task, self._files_at_once = task, files_at_once
        self._work = open_worker(task)

    def __call__(self, batch: dict) -> dict:
        rows = [Row(*json.loads(row)) for row in batch["row"]]
        results = list(local.threads(self._one, rows, self._files_at_once))
        finish(results, self._task)
        return {"result": [json.dumps(result) for result in results]}

    def _one(self, row: Row, **options: Any) -> Result:
        """Do a row, and count the attempts in a file that outlives the actor."""
        name = hashlib.sha256(row.id.encode("utf-8", "surrogateescape")).hexdigest()
        path = Path(self._task.staging, f"{name}.attempts")
        with open(path, "ab") as file:
            file.write(b".")
        if path.stat().st_size > MAX_ATTEMPTS:
            return failure(row, self._task, f"its worker was killed {MAX_ATTEMPTS} times")
        result = self._work(row, **options)
        path.unlink()
        return result
