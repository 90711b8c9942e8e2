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
from .worker import failure, open_worker

_ROWS = 16  # at most that an actor takes at a time, and that are done again when it is killed
MAX_ATTEMPTS = 3  # at a row: a file that kills its actor must not do so for ever


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
    """The results of rows, as they come, from `jobs` actors of a Ray cluster.

    Source and target folder have to be the same on every node. jobs: None for as many as the
    cluster has room for. address: of a running cluster, as `ray.init` takes it; None starts one on
    this machine. cpus, gpus, resources: what each actor takes, such as ``{"TPU": 4}``.
    files_at_once: rows under way at once in each actor.

    Raises ValueError if the cluster has no room for these actors and one CPU besides: with none
    left for its own tasks Ray Data would wait for ever (ray issue 44687).
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
    """How many actors to start. Raises ValueError if there is no room."""
    free = there | {"CPU": there.get("CPU", 0) - 1}
    room = min(int(free.get(kind, 0) // n) for kind, n in each.items() if n)
    if room < (jobs or 1):
        needs = ", ".join(f"{n * (jobs or 1):g} {kind}" for kind, n in each.items() if n)
        has = ", ".join(f"{there.get(kind, 0):g} {kind}" for kind, n in each.items() if n)
        raise ValueError(
            f"{jobs or 1} workers need {needs}, and Ray Data one CPU more; the cluster has {has}"
        )
    return jobs or room


def _stream(
    ray: Any, task: Task, rows: list[Row], jobs: int, each: dict[str, float], files_at_once: int
) -> Iterator[Result]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # rows that never come back are told below
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
        yield failure(row, task, "Ray lost it: its log says why")


def _absolute(path: str) -> str:
    """For the other nodes, whose working directory is another."""
    return path if manifest.is_uri(path) else os.path.abspath(path)


class _Actor:
    """A worker on one of the cluster's nodes."""

    def __init__(self, task: Task, files_at_once: int) -> None:
        self._task, self._files_at_once = task, files_at_once
        self._work = open_worker(task)

    def __call__(self, batch: dict) -> dict:
        rows = [Row(*json.loads(row)) for row in batch["row"]]
        results = local.threads(self._one, rows, self._files_at_once)
        return {"result": [json.dumps(result) for result in results]}

    def _one(self, row: Row, **options: Any) -> Result:
        """A worker's work, with attempts counted in a file that outlives an actor."""
        name = hashlib.sha256(row.id.encode("utf-8", "surrogateescape")).hexdigest()
        path = Path(self._task.staging, f"{name}.attempts")
        with open(path, "ab") as file:
            file.write(b".")
        if path.stat().st_size > MAX_ATTEMPTS:
            return failure(row, self._task, f"its worker was killed {MAX_ATTEMPTS} times")
        result = self._work(row, **options)
        path.unlink()
        return result
