"""Workers on many machines, by Ray Data."""

import dataclasses
import json
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..samples import ceil_div
from ..threads import available_cores
from . import manifest
from .feeding import Workers
from .ledger import Result
from .manifest import Row
from .plan import Task
from .worker import finish, job_of

# Rows for each worker that an actor takes at once, at most; if it is killed, all are done again.
_ROWS = 16


def ray_data(
    task: Task,
    rows: Iterable[Row],
    *,
    jobs: int | None = None,
    address: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    resources: dict[str, float] | None = None,
) -> Iterator[Result]:
    """Yield the results of rows, as they come, from `jobs` actors of a Ray cluster.

    The source and target folders must be the same on every node. jobs: None for as many as the
    cluster has room for. address: of a running cluster, as `ray.init` takes it; None starts one on
    this machine. cpus, gpus, resources: requirements of each actor, such as ``{"TPU": 4}``; it has
    a worker process on each of its CPUs.

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
        yield from _stream(ray, task, list(rows), jobs, each)
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
    ray: Any, task: Task, rows: list[Row], jobs: int, each: dict[str, float]
) -> Iterator[Result]:
    workers = max(1, int(each["CPU"]))  # of each actor
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # rows that never come back are reported below
    per_block = max(1, min(_ROWS * workers, len(rows) // (8 * jobs)))
    blocks = ceil_div(len(rows), per_block)
    items = [{"row": json.dumps(row._replace(source=_absolute(row.source)))} for row in rows]
    task = dataclasses.replace(task, folder=_absolute(task.folder), staging=_absolute(task.staging))
    special = {kind: n for kind, n in each.items() if kind not in ("CPU", "GPU") and n}
    results = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
        _Actor,
        fn_constructor_args=(task, workers),
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
    lost = job_of(task).lost
    for row in missing.values():
        yield lost(row, "Ray lost the recording: Ray's log says why")


def _absolute(path: str) -> str:
    """Make a path absolute for the other nodes, which have other working directories."""
    return path if manifest.is_uri(path) else os.path.abspath(path)


class _Actor:
    """Workers on one of the cluster's nodes, and the device they share if they have one."""

    def __init__(self, task: Task, jobs: int) -> None:
        self._task, self._workers = task, Workers(job_of(task), jobs)

    def __call__(self, batch: dict) -> dict:
        rows = [Row(*json.loads(row)) for row in batch["row"]]
        try:
            results = list(self._workers.results(rows))
        except ChildProcessError:
            os._exit(1)  # Ray starts another actor, which tries the rows again
        finish(results, self._task)
        return {"result": [json.dumps(result) for result in results]}
