"""Text from files, names and other programs reaches the terminal printable, line by line."""

import ast
import io
import json
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import soundfile
from conftest import runner, speech_like
from material import novasr_checkpoint
from safetensors.numpy import load_file, save_file

from novasr_np.cli import messages, spectrogram, verify
from novasr_np.conformance import self_test
from novasr_np.conformance.cases import Case, noise
from novasr_np.corpus import feeding, ledger
from novasr_np.errors import printable

# A terminal's commands in 7 and 8 bits, marks of direction, separators, a forged line, a byte that
# is no UTF-8: all that a name may hold.
EVIL = "own\x1b]0;x\x07\x9b2J\u202e\u2066\u2028\u2029\u200f\ufeff\x7f\x00\x08\r\nforged\udc80"
NAME = EVIL.replace("\x00", "")


def check_printable(text):
    assert "own" in text or r"\x1b" in text  # so that something of it is there
    assert all(c.isprintable() or c == "\n" for c in text), ascii(text)
    assert not any(line.startswith("forged") for line in text.splitlines())


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd, weights_file):
    """Run the command in a folder of evil names; all that it writes has to be printable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVASR_WEIGHTS", str(weights_file))
    Path("in").mkdir()
    sound = io.BytesIO()
    soundfile.write(sound, speech_like(2000), 16_000, format="WAV")
    for folder in ("in", "."):
        Path(folder, f"{NAME}.wav").write_bytes(sound.getvalue())
    Path("in", f"broken {NAME}.flac").write_text("broken")

    def in_this_process(job, items, *_):
        runner = job.backend.open(job.weights)
        return (job.work(runner, item, lambda seconds: None) for item in items)

    monkeypatch.setattr(feeding, "processes", in_this_process)
    run = runner(capfd)

    def checked(*arguments):
        status, out, err = run(*arguments)
        check_printable(out + err)
        return status, out, err

    return checked


def test_what_prints_is_left_as_it_is():
    text = "Grüße, 日本語, мир, 😀 \\x1b 'a' \"b\""
    assert printable(text) == text
    assert printable("a\x1b\x9b\u202e\n\udc80") == r"a\x1b\x9b\u202e\n\udc80"


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (("upsample", f"{NAME}.wav", "-v"), 0),
        (("upsample", f"{NAME}.wav", "--json"), 0),
        (("upsample", "-r", "in"), 1),
        (("upsample", "-r", "in", "--json"), 1),
        (("upsample", f"no {NAME}.wav"), 1),
        (("upsample", f"{NAME}.wav", "--weights", NAME), 2),
        (("upsample", f"{NAME}.wav", "--subtype", NAME), 2),
        (("upsample", f"{NAME}.wav", "-o", f"{NAME}.xyz"), 2),
        (("upsample", "a.wav", f"--{NAME}"), 2),
        (("upsample", "a.wav", "--batch", NAME), 2),
        ((NAME,), 2),
        (("corpus", "in", f"out {NAME}"), 1),
        (("corpus", "in", f"out {NAME}", "--dry-run"), 0),
        (("corpus", f"{NAME}.csv", "out"), 2),
        (("stream", "--weights", NAME), 2),
        (("say", "-f", f"no {NAME}"), 2),
        (("say", f"{EVIL}.", "--phones", "--ids"), 0),
        (("say", "Hello.", "-o", f"{NAME}.xyz"), 2),
        (("page", f"{NAME}.wav"), 2),
        (("page", f"{NAME}.html"), 0),
        (("weights", "show", NAME), 2),
        (("export", "onnx", NAME), 2),
        (("export", "stablehlo", f"{NAME}.wav"), 2),
        (("compare", f"{NAME}.wav", f"no {NAME}.wav"), 2),
        (("verify", "--onnx", f"{NAME}.wav"), 2),
        (("verify", "--command", f"'{NAME}' {{input}} {{output}}"), 2),
    ],
)
def test_names(cli, arguments, want):
    status, out, err = cli(*arguments)
    assert status == want, err
    if "--json" in arguments:
        assert NAME in json.loads(out)["files"][0]["source"]


def test_metadata_of_weights(cli, weights_file):
    tensors = load_file(weights_file)
    save_file(
        tensors,
        "evil.safetensors",
        metadata={"model": "NovaSR", "own": EVIL[:-1], "a\nforged": "b"},
    )
    assert cli("weights", "show", "evil.safetensors")[0] == 0
    save_file(tensors, "evil.safetensors", metadata={"model": EVIL[:-1]})
    assert cli("weights", "show", "evil.safetensors")[0] == 2


def test_tensors_of_checkpoints(cli):
    def added(state):
        state[EVIL[:-1]] = state["dec.conv_pre.weight"]

    for data in (
        novasr_checkpoint(added),
        novasr_checkpoint(edit_members=lambda m: m.update({NAME[:-1]: b"1"})),
    ):
        Path("evil.pth").write_bytes(data)
        assert cli("weights", "show", "evil.pth")[0] == 2
        assert cli("weights", "convert", "evil.pth", "out.safetensors")[0] == 2


def test_manifests_and_the_ledger(cli):
    """The workers, which say nothing themselves, run in this process."""
    rows = [
        {"id": NAME, "source": f"in/broken {NAME}.flac"},
        {"id": "own", "source": f"no {NAME}"},
    ]
    Path("list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("corpus", "list.jsonl", "out")[0] == 1
    assert cli("corpus", "list.jsonl", "out", "--retry-failed")[0] == 1
    check_printable(Path("out", ledger.RESULTS).read_text())
    Path("list.jsonl").write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[0]) + "\n")
    assert cli("corpus", "list.jsonl", "out")[0] == 2


@pytest.mark.filterwarnings("always")
def test_warnings_of_libraries(cli, monkeypatch):
    """Such as matplotlib's, that a sign of a name is missing in its font."""

    def draw(target, sounds):
        assert all(title.isprintable() for title in sounds)
        target.touch()
        warnings.warn(EVIL, stacklevel=1)

    monkeypatch.setattr(spectrogram, "plot_spectrograms", draw)
    status, _, err = cli("spectrogram", f"{NAME}.wav", "-o", f"{NAME}.png")
    assert (status, err.startswith(r"novasr: own\x1b")) == (0, True)


@pytest.fixture
def one_case(monkeypatch):
    monkeypatch.setattr(verify, "cases", lambda *_, **__: [Case("noise", noise(400, 0.5), 16_000)])


def test_what_a_port_says(cli, one_case):
    for more in ((), ("--json",)):
        code = "own\x1b[2J\x9b\u202e\x7f\x08"
        command = f"sh -c 'echo \"{code}\" >&2; exit 3' sh {{input}} {{output}}"
        _, out, _ = cli("verify", "--command", command, *more)
        assert r"exit status 3: own\x1b[2J" in out.replace("\\\\", "\\")


def test_names_inside_an_onnx_model(cli, one_case):
    """ONNX Runtime itself writes of them to the terminal."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    info = onnx.helper.make_tensor_value_info
    x, y = (info(name, onnx.TensorProto.FLOAT, ["t"]) for name in ("own\x1b[2J", "y"))
    node = onnx.helper.make_node("Reshape", [x.name, "shape"], ["y"], name="own\x9b2J")
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [5])
    unused = onnx.helper.make_tensor("own\x1b[2J unused", onnx.TensorProto.INT64, [1], [5])
    graph = onnx.helper.make_graph([node], "own", [x], [y], [shape, unused])
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    Path("evil.onnx").write_bytes(model.SerializeToString())
    assert cli("verify", "--onnx", "evil.onnx")[0] == 1


def test_what_the_doctor_finds(cli, monkeypatch):
    report = {"weights": {"source": EVIL}, "problems": [EVIL]}
    monkeypatch.setattr(self_test, "examine", lambda: report)
    for more in ((), ("--json",)):
        assert cli("doctor", *more)[0] == 1


def test_bars_and_what_they_are_said_to_do():
    file = io.StringIO()
    with messages.Bar(total=2, desc=EVIL, file=file, ascii=True) as bar:
        bar.set_postfix_str(EVIL)
        bar.update()
    check_printable(file.getvalue().replace("\r", "\n"))


def test_text_that_the_output_cannot_encode(monkeypatch):
    for encoding, want in (("ascii", r"\u65e5 \xfc"), ("latin-1", r"\u65e5 ü"), ("utf-8", "日 ü")):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        with redirect_stdout(out):
            messages.show("日 ü")
        out.seek(0)
        assert out.read() == f"{want}\n"
    with redirect_stdout(io.StringIO()) as out:
        messages.show("日", "ü")
    assert out.getvalue() == "日\nü\n"


def test_no_other_module_of_the_command_prints():
    """The import of tqdm and every call of print, so that the rule has no second place."""
    for path in Path(messages.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert path.name == "messages.py" or not ("print" in names or "tqdm" in modules), path
