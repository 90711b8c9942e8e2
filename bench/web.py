"""The page's engine beside ONNX Runtime Web in Chromium; bench.native has it as a library.

    python -m bench.web [--ort FOLDER] [-o bench/WEB.md]

Needs Playwright and Chromium (`make test-browser`). FOLDER is `dist` of the npm package
onnxruntime-web; without it that row is left out. One thread everywhere; all rows are of one run, in
turns.
"""

import argparse
import functools
import http.server
import importlib.util
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.data import speech
from bench.timing import processor
from novasr_np import load_weights, web
from novasr_np.networks import NETWORKS
from novasr_np.weights import DEFAULT, weights_path

_SECONDS = 10
_ROUNDS = 7
_SETS = {"NovaSR": "novasr-open", "airband": DEFAULT}
_PAGE = """<!doctype html><meta charset="utf-8"><script src="ort.wasm.min.js"></script>
<script type="module">
const BLOCK = 4800, RATE = 16000;
const get = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const x = new Float32Array((await get("x.f32")).buffer);

async function engine(file, weightsFile) {
  const e = (await WebAssembly.instantiate(await get(file))).instance.exports;
  const weights = await get(weightsFile);
  let end = e.__heap_base.value;
  const place = (size) => {
    const start = Math.ceil(end / 64) * 64;
    end = start + size;
    const missing = end - e.memory.buffer.byteLength;
    if (missing > 0) e.memory.grow(Math.ceil(missing / 65536));
    return start;
  };
  const at = place(weights.length);
  new Uint8Array(e.memory.buffer).set(weights, at);
  const memory = place(e.novasr_model_bytes(e.novasr_kind(at, weights.length)));
  const model = e.novasr_load(memory, at, weights.length, RATE);
  const state = e.novasr_begin(place(e.novasr_state_bytes(model)), model);
  const work = place(e.novasr_work_bytes(model));
  const from = place(4 * BLOCK), to = place(4 * e.novasr_room(model, BLOCK));
  const floats = new Float32Array(e.memory.buffer);
  return (signal) => {
    const y = new Float32Array(3 * signal.length);
    let made = 0;
    for (let first = 0; first < signal.length; first += BLOCK) {
      const piece = signal.subarray(first, first + BLOCK);
      floats.set(piece, from / 4);
      const last = first + BLOCK >= signal.length ? 1 : 0;
      const count = e.novasr_push(state, work, from, piece.length, last, to);
      y.set(floats.subarray(to / 4, to / 4 + count), made);
      made += count;
    }
    return y;
  };
}

async function ortWeb(file) {
  ort.env.wasm.numThreads = 1;
  const options = { executionProviders: ["wasm"] };
  const session = await ort.InferenceSession.create(await get(file), options);
  return async (signal) => {
    const feeds = { input: new ort.Tensor("float32", signal, [1, 1, signal.length]) };
    if (session.inputNames.includes("edge")) // in bins of 50 Hz, half the rate
      feeds.edge = new ort.Tensor("int64", [BigInt(RATE / 100)], []);
    return (await session.run(feeds)).output.data;
  };
}

window.run = async (rows, rounds) => {
  const systems = [];
  for (const [name, kind, ...files] of rows) {
    const start = performance.now();
    const run = kind === "ort" ? await ortWeb(...files) : await engine(...files);
    const opened = performance.now() - start;
    const y = await run(x);
    systems.push({ name, run, opened, times: [], y: Array.from(y.subarray(0, 3 * 16000)) });
  }
  for (let round = 0; round < rounds; round++)
    for (const s of systems) {
      const start = performance.now();
      await s.run(x);
      s.times.push(performance.now() - start);
    }
  return systems.map(({ name, opened, times, y }) => ({ name, opened, times, y }));
};
window.ready = true;
</script>"""


def browser(ort: Path | None) -> Iterator[str]:
    """A table of what Chromium runs."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    x = speech(_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "index.html").write_text(_PAGE)
        (root / "x.f32").write_bytes(x.astype("<f4").tobytes())
        for name in web.ENGINES:
            shutil.copy(Path(web.__file__).parent / name, root)
        rows = []
        for network, weights in _SETS.items():
            shutil.copy(weights_path(weights), root / f"{weights}.safetensors")
            for kind, file in (("SIMD", "engine.wasm"), ("relaxed SIMD", "engine-relaxed.wasm")):
                rows.append([f"engine, {kind} | {network}", "wasm", file, f"{weights}.safetensors"])
            if ort:
                model = NETWORKS[network].ports.to_onnx(load_weights(weights).params)
                (root / f"{weights}.onnx").write_bytes(model.SerializeToString())
                rows.append([f"ONNX Runtime Web | {network}", "ort", f"{weights}.onnx"])
        (root / "ort.wasm.min.js").write_text("")
        for file in ort.glob("ort*wasm*") if ort else ():
            shutil.copy(file, root)
        handler = functools.partial(_Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as play:
            chromium = play.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = chromium.new_page()
            page.set_default_timeout(300_000)
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.wait_for_function("window.ready")
            found = page.evaluate(f"run({json.dumps(rows)}, {_ROUNDS})")
            version = chromium.version
            chromium.close()
        server.shutdown()
    yield f"Chromium {version}, a clip of {_SECONDS} s, medians of {_ROUNDS}:"
    yield ""
    yield "| | network | x real time | x ONNX Runtime Web | ready in, ms | max-abs |"
    yield "|---|---|---:|---:|---:|---:|"
    truth = {
        name: NETWORKS[name].compute.forward(
            load_weights(weights).params, np.float64(x[: 2 * 16_000])
        )
        for name, weights in _SETS.items()
    }
    medians = {row["name"]: float(np.median(row["times"])) for row in found}
    for row in found:
        network = row["name"].split("| ")[1]
        t = medians[row["name"]]
        peer = medians.get(f"ONNX Runtime Web | {network}", np.nan)
        error = np.abs(np.array(row["y"]) - truth[network][: len(row["y"])]).max()
        rates = f"{1e3 * _SECONDS / t:.1f} | {peer / t:.1f}"
        yield f"| {row['name']} | {rates} | {row['opened']:.0f} | {error:.1e} |"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def report(ort: Path | None) -> Iterator[str]:
    yield "# The engine in the browser"
    yield ""
    yield "Written by `python -m bench.web`, all in one run on one machine and one thread. Errors"
    yield "are against the network's own float64."
    yield ""
    yield processor()
    yield ""
    if importlib.util.find_spec("playwright"):
        yield from browser(ort)
    else:
        yield "No Playwright: no browser."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ort", type=Path, metavar="FOLDER", help="onnxruntime-web's dist")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    lines = []
    for line in report(args.ort):
        print(line, flush=True)
        lines.append(line)
    if args.output:
        args.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
