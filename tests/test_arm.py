"""The engine in C on 32-bit ARM and AArch64, under qemu, against the networks."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from novasr_np.cli import main
from novasr_np.native import build
from novasr_np.weights import embedded_weights, weights_path

PORTS = Path(__file__).parent / "ports"


class Machine(NamedTuple):
    compiler: str
    flags: tuple[str, ...]
    emulator: str


MACHINES = {
    "32-bit": Machine("arm-linux-gnueabihf-gcc", (), "qemu-arm"),
    "32-bit, NEON": Machine("arm-linux-gnueabihf-gcc", ("-mfpu=neon-vfpv4",), "qemu-arm"),
    "AArch64": Machine("aarch64-linux-gnu-gcc", (), "qemu-aarch64"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=MACHINES)
def program(request, tmp_path_factory):
    """Command of the engine as a program for that machine."""
    machine = MACHINES[request.param]
    for command in (machine.compiler, machine.emulator):
        if not shutil.which(command):
            pytest.skip(f"needs {command}")
    path = tmp_path_factory.mktemp("arm") / "native"
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-O2", "-static")
    sources = ("-I", build.SOURCE.parent, PORTS / "native.c", build.SOURCE)
    subprocess.run([machine.compiler, *flags, *machine.flags, "-o", path, *sources], check=True)
    return f"{machine.emulator} {path}"


@pytest.mark.parametrize("name", embedded_weights())
def test_the_program_is_right(program, name, capsys):
    line = f"{program} {weights_path(name)} {{rate}} {{edge}} 1600 {{input}} {{output}}"
    arguments = ("--command", line, "--weights", name, "--long", "0", "--json")
    assert main(["verify", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["grade"] in ("float32", "bit-near")
    assert report["faults"] == []


def test_denormal_numbers_are_zeros(program, tmp_path):
    np.full(2000, 1e-39, "<f4").tofile(tmp_path / "x")
    line = f"{program} {weights_path('airband')} 16000 0 500 {tmp_path / 'x'} {tmp_path / 'y'}"
    subprocess.run(line.split(), check=True)
    y = np.fromfile(tmp_path / "y", "<f4")
    assert len(y) == 6000
    assert not y.any()
