"""The page: how it is assembled and handed out, and, in headless Chromium, what it does."""

import base64
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import check, runner, shared, speech, speech_like

from novasr_np import resample, web
from novasr_np.native import build
from novasr_np.tensors import read_safetensors
from novasr_np.weights import DEFAULT, embedded_weights, load_weights

MAX_BYTES = 300 * 1024  # of the page with all weights: it can be mailed
MAX_OWN_BYTES = 100_000  # of that without weights
TOLERANCE = 1e-5  # of the page's float32 against the command's


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOVASR_WEIGHTS", raising=False)
    return runner(capfd)


def element(html: str, begin: str, end: str) -> str:
    """What stands between two texts that are there once."""
    assert html.count(begin) == 1
    return html.partition(begin)[2].partition(end)[0]


def from_text(text: str, size: int) -> bytes:
    sevens = []
    for code in map(ord, text):
        sevens += [code] if code < 128 else [b"\0\r<"[code // 128 - 1], code % 128]
    bits = "".join(f"{seven:07b}" for seven in sevens)[: 8 * size]
    return int(bits, 2).to_bytes(size, "big")


def unpacked(html: str) -> dict[str, bytes]:
    size, _, text = element(html, 'id="archive" data-size="', "</script>").partition('">')
    data = gzip.decompress(from_text(text, int(size)))
    start = 4 + int.from_bytes(data[:4], "little")
    return {k: data[start + a : start + b] for k, (a, b) in json.loads(data[4:start]).items()}


# ---- The engine


@pytest.mark.browser
def test_the_engine_is_what_its_source_makes(tmp_path):
    pytest.importorskip("ziglang", reason="needs ziglang: make test-browser")
    build.wasm(tmp_path)
    for name in web.ENGINES:
        assert (tmp_path / name).read_bytes() == (Path(web.__file__).parent / name).read_bytes()


# ---- Assembly


def test_size(monkeypatch):
    assert len(web.page()) <= MAX_BYTES
    monkeypatch.setattr(web, "WEIGHTS", ())
    assert len(web.page()) <= MAX_OWN_BYTES


def test_page_holds_all_as_it_is():
    html = web.page().decode()
    assert html == web.page().decode()
    assert not re.search(r"\{\{\w+\}\}", html)
    contents = unpacked(html)
    for name in web.WEIGHTS:
        packed = contents[f"{name}.safetensors"]
        whole = embedded_weights()[name].read_bytes()
        bare = web.without_history(whole)
        assert packed == web.halves(bare)
        assert sorted(packed) == sorted(bare)
        tensors, metadata = read_safetensors(bare)
        assert metadata == {"model": load_weights(name).network.name}
        for key, value in read_safetensors(whole)[0].items():
            np.testing.assert_array_equal(tensors[key], value)
    engines = [f"{name}.{part}" for name in web.ENGINES for part in (0, 1)]
    for name in web.ENGINES:
        whole = (Path(web.__file__).parent / name).read_bytes()
        assert contents[f"{name}.0"] + contents[f"{name}.1"] == whole
    weights = {f"{name}.safetensors" for name in web.WEIGHTS}
    assert set(contents) == {*engines, *web.SCRIPTS, *weights}


def test_policy_allows_what_the_page_is_and_no_more():
    html = web.page().decode()
    policy = element(html, 'Content-Security-Policy" content="', '"')
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name, text in (
        ("script-src", element(html, "<script>", "</script>")),
        ("style-src", element(html, "<style>", "</style>")),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[name].split()
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'none'")
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy


def test_page_names_no_other_place():
    html = web.page().decode()
    texts = [html, *(v.decode() for k, v in unpacked(html).items() if k.endswith(".js"))]
    assert not any(re.search(r"https?://|(src|href)=[\"']?/", text) for text in texts)
    assert not any(re.search(r"innerHTML|\beval\(|new Function|fetch\(", text) for text in texts)


def test_elements_that_scripts_ask_for_are_there():
    html = web.page().decode()
    app = unpacked(html)["app.js"].decode()
    asked = {*re.findall(r'\$\("([\w-]+)"\)', app), *re.findall(r'\bon\("([\w-]+)"', app)}
    assert asked <= set(re.findall(r'\bid="([\w-]+)"', html))
    names = re.findall(r'<option value="([^"]+)"', html)
    assert sorted(names) == sorted(web.WEIGHTS)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("name", web.SCRIPTS)
def test_scripts_parse(name, tmp_path):
    (tmp_path / name).write_bytes(unpacked(web.page().decode())[name])
    subprocess.run(["node", "--check", tmp_path / name], check=True)


# ---- The doors


def get(port: int, path: str, method: str = "GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def port():
    """Of a server that is running."""
    with web.server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_server(port):
    for path in ("/", "/index.html", "/?x"):
        status, headers, body = get(port, path)
        assert (status, body) == (200, web.page())
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Content-Security-Policy"] == f"{web.policy()}; frame-ancestors 'none'"
    assert get(port, "/", "HEAD")[::2] == (200, b"")
    for path in ("/other", "/../pyproject.toml", "/index.html/"):
        assert get(port, path)[0] == 404
    assert get(port, "/", "POST")[0] == 501


def test_server_is_for_this_machine_alone(port):
    with web.server(0) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C goes another way")
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_web_says_where_and_ends_by_ctrl_c():
    command = [sys.executable, "-m", "novasr_np", "web", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ ", process.stderr.readline())[1])
        assert get(port, "/")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read().strip() == ""


def test_web_refuses_a_port_that_it_cannot_have(cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        status, out, err = cli("web", "--no-browser", "--port", number)
    assert (status, out) == (2, "")
    assert err.startswith("novasr: ")
    assert f"127.0.0.1:{number}" in err
    for text in ("65536", "-1", "x", ""):
        status, _, err = cli("web", f"--port={text}")
        assert status == 2
        assert "expected a port" in err


@pytest.mark.parametrize("name", ["out.html", "OUT.HTM", "new/out.html/..", "folder", "a/b", "."])
def test_page_writes(cli, tmp_path, name):
    status, out, err = cli("page", name)
    path = tmp_path / name
    if not name.lower().endswith((".html", ".htm")):
        path /= "index.html"
    assert (status, out) == (0, "")
    assert "the page, " in err
    assert path.read_bytes() == web.page()


def test_page_replaces_only_when_told(cli, tmp_path):
    Path("index.html").write_text("mine")
    status, _, err = cli("page", ".")
    assert (status, err) == (
        2,
        f"novasr: {os.path.join('.', 'index.html')} exists: -f replaces it\n",
    )
    assert Path("index.html").read_text() == "mine"
    assert cli("page", "index.html")[0] == 2
    assert cli("page", ".", "-f")[0] == 0
    assert Path("index.html").read_bytes() == web.page()
    assert os.listdir() == ["index.html"]


def test_page_says_what_cannot_be_written(cli):
    Path("file").touch()
    for name in ("file", "file/x", "file/x.html", "absent/x.html", ""):
        status, out, err = cli("page", name)
        assert (status, out, err.count("\n")) == (2, "", 1), name
        assert err.startswith("novasr: ")
    assert os.listdir() == ["file"]


# ---- In the browser


class Tab:
    """The page, opened; and what it complained of and asked for."""

    def __init__(self, page, address: str) -> None:
        self.page, self.complaints, self.requests = page, [], []
        page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        page.on("request", lambda r: self.requests.append(r.url))
        page.goto(address)
        self.wait_for_status("Ready")

    def wait(self, expression: str, seconds: float = 60) -> None:
        """Until an expression holds; Playwright's own function needs 'unsafe-eval'."""
        until = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < until, (expression, self.status(), self.complaints)
            time.sleep(0.02)

    def status(self) -> str:
        return self.page.inner_text("#status")

    def wait_for_status(self, begin: str) -> str:
        self.wait(f"document.getElementById('status').textContent.includes({json.dumps(begin)})")
        return self.status()

    def error(self) -> str:
        self.wait("document.getElementById('status').classList.contains('error')")
        return self.status()

    def give(self, file, network: str | None = None) -> None:
        if network is not None:
            self.page.select_option("#network", network)
        self.page.set_input_files("#file", file)

    def done(self) -> None:
        self.wait("self.novasr.result?.done")

    def download(self, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click("#download")
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


MICROPHONE = "microphone.wav"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium")
    folder = tmp_path_factory.mktemp("microphone")
    speech(folder / MICROPHONE, 48_000, samples=96_000)
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={folder / MICROPHONE}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory) -> Path:
    return web.write_folder(tmp_path_factory.mktemp("page"))


@pytest.fixture
def tab(chromium, page_file, tmp_path, monkeypatch):
    """The page from disk. At the end: it asked for nothing else, and complained of nothing."""
    monkeypatch.chdir(tmp_path)
    page = chromium.new_page()
    opened = Tab(page, page_file.as_uri())
    yield opened
    page.close()
    assert opened.complaints == []
    assert {url for url in opened.requests if not url.startswith(("blob:", "data:"))} == {
        page_file.as_uri()
    }


def by_command(cli, file, weights: str, *options: str) -> np.ndarray:
    status, _, err = cli("upsample", file, "-o", "want.wav", "-f", "--weights", weights, *options)
    assert status == 0, err
    Path("said").write_text(err)
    return soundfile.read("want.wav", dtype="float32", always_2d=True)[0].T


LENGTHS = [(16_000, samples) for samples in (1, 2, 13, 24, 80, 16_000, 960_000)]
RATES = [
    (rate, rate + 1)
    for rate in (8000, 11_025, 12_000, 16_200, 22_050, 24_000, 44_100, 48_000, 96_000)
]


@pytest.mark.browser
@pytest.mark.parametrize("weights", web.WEIGHTS)
@pytest.mark.parametrize(("rate", "samples"), LENGTHS + RATES)
def test_equals_the_command(tab, cli, tmp_path, weights, rate, samples):
    file = speech("in.wav", rate, samples=samples, subtype="FLOAT")
    tab.give(file, weights)
    tab.done()
    status = tab.status()
    is_noted = "little is restored" in status
    path = tab.download(tmp_path)
    assert path.name == "in_48k.wav"
    got, got_rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (got_rate, soundfile.info(path).subtype) == (48_000, "FLOAT")
    check(got.T, by_command(cli, file, weights), TOLERANCE, f"{weights}, {samples} at {rate} Hz")
    said = Path("said").read_text()
    assert is_noted == ("little is restored" in said)
    if weights != "novasr-open" or rate < 14_000:
        assert is_noted == (weights == "novasr-open")
    if told := re.search(r"its sound ends at [\d.]+ kHz", said):
        assert told[0] in status.replace("Its", "its")


@pytest.mark.browser
@pytest.mark.parametrize("weights", [DEFAULT, "novasr-open"])
@pytest.mark.parametrize(
    "clip",
    ["vctk_spkunk_flashsr-00.flac", "vctk_p257_audiodec-035.flac", "bibletts_yor_original.flac"],
)
@pytest.mark.parametrize("to", [8000, 16_000, 44_100])
def test_equals_the_command_on_real_speech(tab, cli, tmp_path, weights, clip, to):
    x, rate = soundfile.read(shared("speech/eval") / clip, dtype="float32", always_2d=True)
    soundfile.write("in.wav", resample(x.T, rate, new_rate=to).T, to, subtype="FLOAT")
    tab.give("in.wav", weights)
    tab.done()
    got, _ = soundfile.read(tab.download(tmp_path), dtype="float32", always_2d=True)
    check(got.T, by_command(cli, "in.wav", weights), TOLERANCE, f"{weights}, {clip} at {to} Hz")


@pytest.mark.browser
@pytest.mark.parametrize("weights", [DEFAULT, "novasr-open"])
def test_sound_that_ends_early(tab, cli, tmp_path, weights):
    """A file at 48 kHz that holds 8 kHz, in stereo: both find the same end."""
    x = np.stack([speech_like(40_000, seed=seed) for seed in (0, 1)])
    soundfile.write("in.wav", resample(x, 16_000, new_rate=48_000).T, 48_000, subtype="FLOAT")
    tab.give("in.wav", weights)
    tab.done()
    assert "Its sound ends at " in tab.status()
    got, _ = soundfile.read(tab.download(tmp_path), dtype="float32", always_2d=True)
    assert got.shape == (120_000, 2)
    check(got.T, by_command(cli, "in.wav", weights), TOLERANCE)


@pytest.mark.browser
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_wav_of_any_depth(tab, cli, tmp_path, subtype, kind):
    soundfile.write("in.wav", speech_like(4000), 16_000, subtype=subtype, format=kind)
    tab.give("in.wav")
    tab.done()
    path = tab.download(tmp_path)
    got, _ = soundfile.read(path, dtype="float32")
    bits = {"PCM_U8": 16, "PCM_16": 16, "PCM_24": 24}.get(subtype, 32)
    assert soundfile.info(path).subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits]
    want = by_command(cli, "in.wav", DEFAULT, "--subtype", "FLOAT")[0]
    check(got, want, TOLERANCE + (0.5 / 2 ** (bits - 1)))


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "rate", "exact"),
    [
        ("in.wav", 16_000, True),
        ("in.flac", 16_000, True),
        ("in.flac", 44_100, True),
        ("in.mp3", 16_000, False),
        ("in.mp3", 44_100, False),
        ("in.ogg", 22_050, False),
        ("in.opus", 48_000, False),
    ],
)
def test_formats(tab, cli, name, rate, exact):
    options = {"format": "OGG", "subtype": "OPUS"} if name == "in.opus" else {}
    speech(name, rate, channels=2, samples=rate, **options)
    tab.give(name)
    tab.done()
    result = tab.page.evaluate(
        "(({total, rate, after}) => [total, rate, after.length])(novasr.result)"
    )
    assert result[1:] == [rate, 2]
    if exact:
        got = tab.page.evaluate("Array.from(novasr.result.after[1].subarray(0, 3000))")
        want = by_command(cli, name, DEFAULT, "--subtype", "FLOAT", "--format", "wav")
        assert result[0] == want.shape[-1]
        check(got, want[1, :3000], TOLERANCE)
    else:  # decoders differ by what they cut off at the ends
        assert abs(result[0] - 48_000) < 5000


@pytest.mark.browser
@pytest.mark.parametrize("whose", ["random", "v1"])
def test_own_weights(tab, cli, weights_file, tmp_path, whose):
    if whose == "v1":  # the original's, converted
        weights_file = tmp_path / "v1.safetensors"
        cli("weights", "convert", shared("upstream/pytorch_model_v1.bin"), weights_file)
    speech("in.wav", subtype="FLOAT")
    tab.give("in.wav")
    tab.done()
    tab.page.select_option("#network", "")
    tab.page.set_input_files("#own-weights", weights_file)
    tab.wait("document.getElementById('status').textContent.includes('Choose a ') === false")
    tab.done()
    got, _ = soundfile.read(tab.download(tmp_path), dtype="float32", always_2d=True)
    check(got.T, by_command(cli, "in.wav", str(weights_file)), TOLERANCE)


@pytest.mark.browser
def test_weights_that_are_none(tab, tmp_path):
    good = embedded_weights()[DEFAULT].read_bytes()
    for name, data, words in (
        ("empty.safetensors", b"", "no set of weights"),
        ("cut.safetensors", good[:-2], "no set of weights"),
        ("noise.safetensors", bytes(range(256)) * 300, "no set of weights"),
        ("torch.safetensors", b"PK\3\4 and so on", "novasr weights convert"),
    ):
        (tmp_path / name).write_bytes(data)
        tab.page.reload()
        tab.wait_for_status("Ready")
        tab.page.select_option("#network", "")
        tab.page.set_input_files("#own-weights", tmp_path / name)
        assert words in tab.error()


def broken_files(folder: Path) -> dict[str, str]:
    """Name -> what the page has to say of it."""
    speech(folder / "good.wav")
    speech(folder / "good.flac")
    good = (folder / "good.wav").read_bytes()
    flac = (folder / "good.flac").read_bytes()
    nan = np.zeros(100, np.float32)
    nan[7] = np.nan
    soundfile.write(folder / "nan.wav", nan, 16_000, subtype="FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0), 16_000)
    soundfile.write(folder / "eight.wav", np.zeros((100, 8)), 16_000)
    soundfile.write(folder / "eight.flac", np.zeros((5000, 8)), 16_000)
    for name, data in {
        "empty.wav": b"",
        "noise.wav": np.random.default_rng(0).bytes(5000),
        "noise.mp3": np.random.default_rng(1).bytes(5000),
        "cut.wav": good[:-100],
        "half.wav": good[:40] + (4000).to_bytes(4, "little") + good[44:],
        "two.wav": good + good,
        "header.wav": good[:30],
        "cut.flac": flac[: len(flac) // 2],
        "text.flac": b"no sound at all",
        "slow.wav": good[:24] + (999).to_bytes(4, "little") + good[28:],
        "zero.wav": good[:22] + bytes(2) + good[24:],
    }.items():
        (folder / name).write_bytes(data)
    return {
        "empty.wav": "is empty",
        "none.wav": "0 samples",
        "eight.wav": "8 channels",
        "eight.flac": "8 channels",
        "noise.wav": "Expected WAV, FLAC",
        "noise.mp3": "Expected WAV, FLAC",
        "text.flac": "Expected WAV, FLAC",
        "header.wav": "damaged",
        "cut.wav": "cut short: 7900 of 8000 bytes",
        "half.wav": "says 4000 bytes of samples, but 4000 more follow",
        "two.wav": "more follow",
        "cut.flac": "",
        "nan.wav": "sample 7 is NaN",
        "slow.wav": "999 Hz",
        "zero.wav": "0 channels",
    }


@pytest.mark.browser
@pytest.mark.parametrize("size", [0, 2_000_000_000, 0xFFFF_FFFF])
def test_a_size_that_stands_for_unknown(tab, tmp_path, size):
    speech(tmp_path / "x.wav")
    data = bytearray((tmp_path / "x.wav").read_bytes())
    data[40:44] = size.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(data)
    tab.give(tmp_path / "x.wav")
    tab.done()
    assert tab.page.evaluate("novasr.result.total") == 3 * 4000


@pytest.mark.browser
def test_what_is_wrong_with_a_file_is_told(tab, tmp_path):
    for name, words in broken_files(tmp_path).items():
        tab.give(tmp_path / name)
        tab.wait(f"document.getElementById('status').textContent.includes({json.dumps(name)})")
        message = tab.error()
        assert words in message
        assert message.startswith(f"{name}: ")
        assert tab.page.is_hidden("#result")
    tab.give(tmp_path / "good.wav")  # and all is well again
    tab.done()


@pytest.mark.browser
@pytest.mark.parametrize("door", ["file", "http"])
def test_microphone(chromium, page_file, port, door):
    """The fake one plays a file; from disk there is no worklet in Chromium."""
    address = page_file.as_uri() if door == "file" else f"http://127.0.0.1:{port}/"
    context = chromium.new_context(permissions=["microphone"])
    tab = Tab(context.new_page(), address)
    tab.page.click("#live")
    assert re.search(r"about \d+ ms later", tab.wait_for_status("Live: "))
    tab.wait("document.getElementById('level').value > 0.05")
    tab.page.click("#live")
    tab.wait_for_status("Live has stopped")
    tab.page.click("#record")
    tab.wait_for_status("Recording")
    time.sleep(1.5)
    tab.page.click("#record")
    tab.done()
    total, peak = tab.page.evaluate(
        "[novasr.result.total, novasr.result.after[0].reduce((a, b) => Math.max(a, b))]"
    )
    assert 24_000 < total < 240_000
    assert peak > 0.05
    context.close()
    assert [c for c in tab.complaints if "ScriptProcessorNode is deprecated" not in c] == []
    assert {url for url in tab.requests if not url.startswith("blob:")} == {address}


@pytest.mark.browser
def test_before_and_after_on_one_clock(tab, tmp_path):
    speech("in.wav", samples=48_000)
    tab.give("in.wav")
    tab.done()
    page = tab.page
    before, after, energy = page.evaluate(
        "(({before, after, energy}) => [before, after]"
        ".map(([y]) => Array.from(y.subarray(48000, 96000))).concat([energy]))(novasr.result)"
    )
    low = np.hanning(48_000)
    low = [np.abs(np.fft.rfft(low * y))[:7000] for y in (before, after)]
    assert np.abs(low[0] - low[1]).max() < 0.01 * low[0].max()
    assert 0.9 < energy[1] / energy[0] < 1.3
    page.click("#play")
    tab.wait("document.getElementById('seek').value > 0.3")
    page.click("#switch")
    assert page.get_attribute("#switch", "aria-checked") == "false"
    page.click("#play")
    assert page.inner_text("#play") == "Play"
    page.fill("#seek", "2.9")
    page.click("#play")
    tab.wait("document.getElementById('play').textContent === 'Play'", 10)
    assert float(page.input_value("#seek")) == pytest.approx(3, abs=0.01)


@pytest.mark.browser
def test_cancel_and_another(tab):
    speech("long.wav", samples=16_000 * 600)
    speech("in.wav")
    tab.give("long.wav", "novasr-open")
    tab.wait("document.getElementById('progress').value > 0")
    tab.page.click("#cancel")
    assert tab.status() == "Cancelled."
    assert tab.page.is_hidden("#result")
    tab.give("in.wav")
    tab.done()
    assert tab.page.evaluate("novasr.result.total") == 12_000


@pytest.mark.browser
def test_sound_before_the_work_is_done(tab):
    speech("long.wav", samples=16_000 * 60)
    tab.give("long.wav", "novasr-open")
    tab.wait("document.getElementById('result').hidden === false")
    tab.page.click("#play")
    tab.wait("document.getElementById('seek').value > 0.1")
    tab.done()


@pytest.mark.browser
def test_cut_to_16_khz(tab, cli, tmp_path):
    x = speech_like(48_000, 48_000)[np.newaxis]
    soundfile.write("in.wav", x.T, 48_000, subtype="FLOAT")
    soundfile.write("cut.wav", resample(x, 48_000).T, 16_000, subtype="FLOAT")
    tab.give("in.wav")
    tab.done()
    tab.page.check("#narrow")
    tab.wait("novasr.result?.rate === 16000")
    tab.done()
    got, _ = soundfile.read(tab.download(tmp_path), dtype="float32", always_2d=True)
    check(got.T, by_command(cli, "cut.wav", DEFAULT), TOLERANCE)


@pytest.mark.browser
def test_by_keyboard_alone(tab, tmp_path):
    speech("in.wav")
    press, focused = tab.page.keyboard.press, "document.activeElement.id"

    def tab_to(name):
        for _ in range(20):
            press("Tab")
            if tab.page.evaluate(focused) == name:
                return
        pytest.fail(f"the Tab key does not reach #{name}")

    # Asked for before the keys: Chromium may be a moment behind in handing its dialog over.
    tab.page.on("filechooser", lambda chooser: chooser.set_files("in.wav"))
    tab.wait("true")
    tab_to("file")
    press("Enter")
    tab.done()
    tab_to("network")
    press("ArrowDown")
    tab.wait("document.getElementById('network').value === 'novasr-open'")
    tab.done()
    tab_to("play")
    press("Space")
    tab_to("switch")
    press("Space")
    assert tab.page.get_attribute("#switch", "aria-checked") == "false"
    tab_to("seek")
    press("Home")
    tab_to("download")
    with tab.page.expect_download() as waiting:
        press("Enter")
    assert waiting.value.suggested_filename == "in_48k.wav"


@pytest.mark.browser
@pytest.mark.parametrize("weights", web.WEIGHTS)
def test_speed(tab, capsys, weights):
    """Printed, not asserted: other work on the machine decides, too."""
    speech("in.wav", samples=16_000 * 60)
    start = time.perf_counter()
    tab.give("in.wav", weights)
    tab.wait("document.getElementById('result').hidden === false")
    first = time.perf_counter() - start
    tab.done()
    seconds = tab.page.evaluate("novasr.result.seconds")
    with capsys.disabled():
        print(
            f"\n{weights}: 60 s in {seconds:.2f} s, {60 / seconds:.1f} x; first sound {first:.2f} s"
        )


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_looks(chromium, page_file, tmp_path, capsys, width, scheme):
    """Nothing sticks out; the pictures are for people."""
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = Tab(page, page_file.as_uri())
    for name in ("start", "done"):
        if name == "done":
            tab.give(speech(tmp_path / "in.wav", samples=48_000))
            tab.done()
        path = tmp_path / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=path, full_page=True)
        with capsys.disabled():
            print(f"\n{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    assert tab.complaints == []
