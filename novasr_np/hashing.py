"""Hashes that identify files."""

import hashlib
import os
from pathlib import Path


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes, in hex; for a folder, of its files' names and hashes."""
    digest = hashlib.sha256()
    if os.path.isdir(path):
        for inner in sorted(inner for inner in Path(path).rglob("*") if inner.is_file()):
            digest.update(f"{inner.relative_to(path)} {file_sha256(inner)}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
