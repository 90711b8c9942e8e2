"""The web page that runs the networks in a browser: one HTML file, assembled from `page/`.

It holds its style, its scripts, the engine and the weights, and requests nothing after it is
loaded, which its Content-Security-Policy enforces.
"""

import base64
import gzip
import hashlib
import json
import socket
import webbrowser
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_write
from ..tensors import read_safetensors, write_safetensors
from ..version import __version__
from ..weights import DEFAULT, LIVE, embedded_weights

HOST = "127.0.0.1"  # only this machine
SCRIPTS = ("dsp.js", "app.js", "worker.js", "worklet.js")  # started by the loader
ENGINES = ("engine.wasm", "engine-relaxed.wasm")
WEIGHTS = (DEFAULT, LIVE, "novasr-open")  # choices of the page
_SPECIAL = b"\0\r<"  # to HTML, of characters below 128
_HERE = Path(__file__).parent


def page() -> bytes:
    """Assemble the whole page, UTF-8."""
    contents = {name: (_HERE / "page" / name).read_bytes() for name in SCRIPTS}
    # The engines are much alike: in turns, so that gzip, which looks back 32 kB, finds it.
    for part in range(2):
        for name in ENGINES:
            data = (_HERE / name).read_bytes()
            half = len(data) // 2
            contents[f"{name}.{part}"] = data[half:] if part else data[:half]
    for name in WEIGHTS:
        path = embedded_weights()[name]
        contents[path.name] = halves(without_history(path.read_bytes()))
    packed = archive(contents)
    html = _source("index.html")
    for name, text in {
        "policy": policy(),
        "version": __version__,
        "style": _source("style.css"),
        "script": _source("loader.js"),
        "size": str(len(packed)),
        "archive": as_text(packed),
    }.items():
        html = html.replace("{{" + name + "}}", text)
    return html.encode()


def policy() -> str:
    """The page's Content-Security-Policy: its own style and script, and nothing from elsewhere.

    "blob:" allows the parts that the script unpacks: the rest of the page, its worker and worklet.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash('loader.js')} 'wasm-unsafe-eval' blob:",
            f"style-src {_hash('style.css')}",
            "worker-src blob:",
            "img-src blob: data:",
            "media-src blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def archive(contents: Mapping[str, bytes]) -> bytes:
    """Pack files as one, compressed; the same files give the same bytes.

    Contains the size of the header in 4 bytes, little-endian; the header, name -> [start, end] as
    JSON; and the files, from whose beginning start and end count.
    """
    index, end = {}, 0
    for name, data in contents.items():
        index[name] = end, end + len(data)
        end += len(data)
    header = json.dumps(index).encode()
    size = len(header).to_bytes(4, "little")
    return gzip.compress(size + header + b"".join(contents.values()), 9, mtime=0)


def without_history(weights: bytes) -> bytes:
    """A safetensors file without its metadata, but for the network that it names."""
    tensors, metadata = read_safetensors(weights)
    return write_safetensors(tensors, {"model": metadata["model"]})


def halves(weights: bytes) -> bytes:
    """Put the first bytes of a safetensors file's float16 numbers before the second ones.

    They are much alike, and so compressed better.
    """
    start = 8 + int.from_bytes(weights[:8], "little")
    return weights[:start] + weights[start::2] + weights[start + 1 :: 2]


def as_text(data: bytes) -> str:
    """Write bytes as text for HTML, 7 bits to a byte of UTF-8, where base64 has 6.

    A character below 128 is 7 bits. Three of these HTML changes or takes for its own; each is one
    character together with the 7 bits behind it, which takes two bytes in UTF-8.
    """
    count = -(-8 * len(data) // 7)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    rows = np.pad(bits, (0, 7 * count - len(bits))).reshape(count, 7)
    sevens = iter((rows @ (1 << np.arange(6, -1, -1))).tolist())
    out = []
    for seven in sevens:
        special = _SPECIAL.find(seven)
        out.append(chr(seven if special < 0 else 128 * (special + 1) + next(sevens, 0)))
    return "".join(out)


def write_file(path: Path) -> None:
    """Write the page to a file, which appears when it is complete. Raises OSError."""
    data = page()
    with atomic_write(path) as file:
        file.write(data)


def write_folder(folder: Path) -> Path:
    """Write the page to folder/index.html, for any host of static files, and return that path.

    Makes the folder if it does not exist. Raises OSError as `write_file`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    write_file(path)
    return path


def server(port: int) -> ThreadingHTTPServer:
    """Create a server of the page on 127.0.0.1, which is not running yet. port: 0 for a free one.

    Raises OSError, naming address and port, if the port cannot be used.
    """
    try:
        return _Server((HOST, port), partial(_Handler, page()))
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{HOST}:{port}") from error


def serve(port: int, open_browser: bool, ready: Callable[[str], object]) -> None:
    """Serve the page until the process is interrupted. ready: called with its address first.

    Raises OSError as `server` does.
    """
    with server(port) as running:
        address = f"http://{HOST}:{running.server_port}/"
        ready(address)
        if open_browser:
            webbrowser.open(address)
        running.serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # On Windows this option would let two servers use one port.
    allow_reuse_address = not hasattr(socket, "SO_EXCLUSIVEADDRUSE")

    def handle_error(self, *_: Any) -> None:
        """Ignore errors: a browser may close the connection at any time."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, page: bytes, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(self._page)

    def do_HEAD(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        if self.path.partition("?")[0] not in ("/", "/index.html"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self._page)))
        self.send_header("Cache-Control", "no-store")
        # As in the page itself, and a directive that works only in a header.
        self.send_header("Content-Security-Policy", f"{policy()}; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing for a request."""


def _source(name: str) -> str:
    return (_HERE / "page" / name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    """Source expression of a style or a script for the policy."""
    digest = hashlib.sha256(_source(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
