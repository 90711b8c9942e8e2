"""Memory that a process keeps: arrays made one after another do not cost new pages each time."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from novasr_np.memory import keep_freed
print({} and keep_freed())
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    arrays = [np.ones(n << 17) for n in range(1, 9)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_kept():
    kept, few = _faults(True)
    if kept == "False":
        pytest.skip("only glibc keeps freed memory")
    assert int(few) < int(_faults(False)[1]) / 5


def _faults(keeps: bool) -> list[str]:
    command = [sys.executable, "-c", FAULTS.format(keeps)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
