"""The JAX tests once more with eight devices, in a process of their own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EIGHT = "--xla_force_host_platform_device_count=8"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax")
def test_with_eight_devices():
    # How sounds are cut, and each network's numbers, are the same on any number of devices.
    files = [HERE / f"test_jax_{name}.py" for name in ("batches", "windows")]
    files += [
        f"{HERE}/test_jax_api.py::test_{name}" for name in ("equals_numpys", "a_list_gives_a_list")
    ]
    files += [f"{HERE}/networks/test_jax_airband.py::test_clips_of_several_rates_share_a_run"]
    files += [f"{HERE}/networks/test_speechsr.py::test_golden_outputs_in_jax[48k]"]
    elsewhere = "numpys[1] or numpys[1000] or test_golden["
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *("-k", f"not ({elsewhere})", *files),
        ],
        env=os.environ | {"XLA_FLAGS": EIGHT, "JAX_PLATFORMS": "cpu"},
        cwd=HERE.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "8 devices of kind cpu" in done.stdout
