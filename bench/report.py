"""Write RESULTS.md from the times that ``pytest bench`` recorded. usage: BENCHMARK.json OUT.md"""

import json
import platform
import sys

import numpy as np

from bench.data import upstream
from bench.timing import versions
from novasr_np import load_weights
from novasr_np.fast.banded import ROWS
from novasr_np.networks.novasr import fast
from novasr_np.networks.novasr.spec import CHANNELS, SAMPLE_RATE_OUT, TENSORS, UPSAMPLING


def gflop_per_second() -> float:
    """The products of a second of audio, as the layers are written; two FLOP each."""
    weights = {name: np.prod(shape) for name, (_, shape) in TENSORS.items()}
    per_output = sum(
        size / UPSAMPLING if name == "conv_pre.weight" else size
        for name, size in weights.items()
        if name.endswith(".weight")
    )
    per_output += 4 * CHANNELS * 12  # two filters in each of two activations
    return float(2 * SAMPLE_RATE_OUT * per_output / 1e9)


def main(source: str, target: str) -> None:
    with open(source) as file:
        record = json.load(file)
    cases: dict[str, list[dict]] = {}
    for case in record["benchmarks"]:
        info = case["extra_info"] | {"time": case["stats"]["median"]}
        cases.setdefault(info["group"], []).append(info)
    text = "\n".join([*_machine(record), *_peers(cases), *_precisions(cases), *_rest(cases)])
    with open(target, "w") as file:
        file.write(text + "\n")
    print(text)
    quote("README.md", "speed", _speed(cases))
    quote("README.md", "memory", _memory(cases))
    quote("novasr_jax/README.md", "precision", _snr(cases))


def _speed(cases):
    """For the README: what holds on other machines, too, more or less."""
    times: dict[tuple, dict[str, float]] = {}
    for case in cases["peers"]:
        times.setdefault((case["seconds"], case["threads"]), {})[case["name"]] = case["time"]
    onnx, torch = (
        [peers[name] / peers["novasr_np"] for peers in times.values() if name in peers]
        for name in ("ONNX Runtime", "torch mirror")
    )
    yield (
        f"NovaSR is on a CPU {min(onnx):.1f} to {max(onnx):.1f} times as fast as ONNX Runtime, "
        f"{min(torch):.1f} to {max(torch):.1f} times as fast as torch."
    )


def _memory(cases):
    """For the README."""
    (hour,) = cases["hour"]
    cold = {c["name"]: c for c in cases["cold"]}
    ours, script = cold["novasr upsample"], cold["torch script"]
    yield (
        f"From a cold start a 10 s file takes {ours['peak_mb']:.0f} MB and the torch script "
        f"{script['peak_mb']:.0f}; an hour takes {hour['peak_mb']:.0f} MB."
    )


def _snr(cases):
    yield "| precision | SNR to float64, dB | max-abs error |"
    yield "|---|---:|---:|"
    for case in cases["precision"]:
        if case["name"] != "high":
            yield f"| `{case['name']}` | {case['snr_db']:.0f} | {case['max_abs']:.0e} |"


def quoted(path, mark):
    """What another file has between two marks, with them."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    with open(path) as file:
        _, _, rest = file.read().partition(start)
    body, _, _ = rest.partition(end)
    return start + body + end


def quote(path, mark, lines):
    """Put the lines between two marks in another file, as far to the right as the marks stand."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    with open(path) as file:
        before, _, rest = file.read().partition(start)
    _, _, after = rest.partition(end)
    margin = before[before.rfind("\n") + 1 :]
    body = "".join(f"{margin}{line}\n" for line in lines)
    with open(path, "w") as file:
        file.write(before + start + body + margin + end + after)


def _machine(record):
    cpu = record["machine_info"]["cpu"]
    return [
        "# Speed on a CPU",
        "",
        "Written by `make bench`; times are medians of one run, all in it on the same machine.",
        "The clip is speech, the weights the original's v1; errors are against float64.",
        "",
        f"{cpu.get('brand_raw', platform.machine())}, {cpu.get('count')} cores; "
        f"{versions()}; {record['datetime'][:10]}",
        "",
    ]


def _peers(cases):
    lines = [
        "## Beside its peers",
        "",
        "| | clip, s | threads | x real time | x ONNX Runtime | x torch | max-abs | SNR, dB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    peers = sorted(cases["peers"], key=lambda c: (c["seconds"], c["threads"], c["time"]))
    for case in peers:
        same = {
            c["name"]: c["time"]
            for c in peers
            if (c["seconds"], c["threads"]) == (case["seconds"], case["threads"])
        }
        ratios = (
            f"{same[name] / case['time']:.2f}" if name in same else "-"
            for name in ("ONNX Runtime", "torch mirror")
        )
        lines.append(
            f"| {case['name']} | {case['seconds']} | {case['threads']} | "
            f"{case['seconds'] / case['time']:.1f} | {' | '.join(ratios)} | "
            f"{case['max_abs']:.1e} | {case['snr_db']:.1f} |"
        )
    (sgemm,) = cases["sgemm"]
    ours = {(c["seconds"], c["threads"]): c for c in peers if c["name"] == "novasr_np"}
    one, most = ours[10, 1], ours[10, max(threads for _, threads in ours)]
    lines += ["", "One thread against the machine's own `sgemm` (2048 x 2048), medians:", ""]
    peak = sgemm["gflop"] / sgemm["time"]
    for work, words in (
        (gflop_per_second(), "as the layers are written"),
        (_multiplied(), "as it is multiplied, after folding and with the bands' zeros"),
    ):
        rate = work * 10 / one["time"]
        lines.append(
            f"- counting {work:.2f} GFLOP per second of audio, {words}: "
            f"{rate:.1f} of {peak:.1f} GFLOP/s, {rate / peak:.0%}"
        )
    lines += [
        "",
        f"{most['threads']} threads are {one['time'] / most['time']:.2f} x as fast as one "
        f"on 10 s, {ours[60, 1]['time'] / ours[60, most['threads']]['time']:.2f} x on 60 s.",
        "",
    ]
    return lines


def _multiplied():
    """GFLOP per second of audio in the matrix products of `fused`."""
    p = fast.fold(load_weights(upstream("pytorch_model_v1.bin")).params, np.float32)
    bands = sum(band.size for a in (p.activation0, p.activation1) for band in a[:3])
    products = (
        (16_000 * p.pre.size / fast._PRE)
        + (16_000 * p.skip.size / fast._SKIP)
        + (48_000 * p.conv1.size / fast._CONV1)
        + (48_000 * p.post.size / fast._POST)
        + (48_000 * bands * CHANNELS / ROWS)
    )
    return 2 * products / 1e9


def _precisions(cases):
    yield from (
        "## Precisions of `novasr_jax`",
        "",
        "On the CPU, which has no fast half precision:",
    )
    yield "the errors are those of an accelerator that rounds as the name says, the times are not."
    yield "`high` is `highest` here; on a GPU its products have the 11 bits of `fp16`."
    yield from ("", "| | x real time | max-abs | SNR, dB |", "|---|---:|---:|---:|")
    for case in cases["precision"]:
        rate = case["seconds"] / case["time"]
        yield f"| {case['name']} | {rate:.1f} | {case['max_abs']:.1e} | {case['snr_db']:.1f} |"
    yield ""


def _rest(cases):
    yield from ("## Length", "", "All cores, array to array.", "")
    yield from ("| audio, s | x real time | time per second, to 60 s |", "|---:|---:|---:|")
    per_second = {c["seconds"]: c["time"] / c["seconds"] for c in cases["length"]}
    for seconds, cost in per_second.items():
        yield f"| {seconds} | {1 / cost:.1f} | {cost / per_second[60]:.2f} |"
    yield from ("", "## Other rates, and the low band kept", "", "All cores, array to array, 10 s.")
    yield from (
        "",
        "| from, Hz | keep_lowband | x real time | time, to the first | max-abs error |",
    )
    yield "|---:|---|---:|---:|---:|"
    bare = cases["rates"][0]["time"]
    for case in cases["rates"]:
        yield (
            f"| {case['rate']} | {case['keep_lowband']} | {case['seconds'] / case['time']:.1f} | "
            f"{case['time'] / bare:.2f} | {case['max_abs']:.1e} |"
        )
    yield from ("", "## Streaming", "", "The work of one `push` on one thread.", "")
    yield from ("| block, ms | median, ms | 99th percentile, ms |", "|---:|---:|---:|")
    for case in cases["stream"]:
        yield f"| {case['milliseconds']} | {case['median_ms']:.2f} | {case['p99_ms']:.2f} |"
    yield from ("", "## The exported ONNX model", "", "In ONNX Runtime, beside the public one.", "")
    yield from (
        "| clips, threads | model | x public's speed | max-abs error |",
        "|---|---|---:|---:|",
    )
    public = {(c["clips"], c["threads"]): c["time"] for c in cases["onnx"] if c["name"] == "public"}
    for case in cases["onnx"]:
        ratio = public[case["clips"], case["threads"]] / case["time"]
        yield (
            f"| {case['clips']}, {case['threads']} | {case['name']} | {ratio:.2f} | "
            f"{case['max_abs']:.0e} |"
        )
    yield from ("", "## Cold start", "", "A process that turns a 10 s WAV file into one of 48 kHz.")
    yield from ("", "| | time, to the fastest | peak memory, MB | max-abs error |")
    yield "|---|---:|---:|---:|"
    fastest = min(c["time"] for c in cases["cold"])
    for case in sorted(cases["cold"], key=lambda c: c["time"]):
        yield (
            f"| {case['name']} | {case['time'] / fastest:.2f} | {case['peak_mb']:.0f} | "
            f"{case['max_abs']:.1e} |"
        )
    (hour,) = cases["hour"]
    yield ""
    yield (
        f"`novasr upsample` on an hour of audio: {hour['peak_mb']:.0f} MB at most, "
        f"{hour['seconds'] / hour['time']:.1f} x real time from file to file."
    )
    (long,) = cases["three hours"]
    yield ""
    yield (
        f"A stream of three hours: the process's peak is {long['after_mb']:.1f} MB after ten "
        f"minutes and {long['end_mb']:.1f} MB at the end."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
