"""Files appear whole, and what killed runs left behind goes."""

import os

import pytest

from novasr_np import atomic


@pytest.mark.skipif(atomic.fcntl is None, reason="needs the file locks of Unix")
def test_a_run_that_begins_leaves_a_file_that_another_is_about_to_name(tmp_path, monkeypatch):
    replace = os.replace

    def as_another_run_begins(temporary, path):
        atomic.remove_leftovers(tmp_path)
        replace(temporary, path)

    monkeypatch.setattr(os, "replace", as_another_run_begins)
    with atomic.atomic_write(tmp_path / "a.txt") as file:
        file.write(b"whole")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(atomic.fcntl is None, reason="needs the file locks of Unix")
def test_leftovers_of_killed_runs_go(tmp_path):
    left = tmp_path / ".a.0123abcd.novasr-part.wav"
    left.write_bytes(b"half")
    with atomic.atomic_write(tmp_path / "b.txt") as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["b.txt"]
