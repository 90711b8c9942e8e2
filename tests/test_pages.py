"""The pages: their links, and the marks between which benches put their figures."""

import re
from pathlib import Path

import pytest

from bench.report import quote

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "bench", "novasr_np", "novasr_jax", "weights")
PAGES = [*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))]
# Page -> the marks that a bench looks for in it.
MARKS = {
    "README.md": ("parity", "airband", "speed", "memory", "quality"),
    "novasr_jax/README.md": ("precision",),
    "novasr_np/networks/novasr/PORTING.md": ("faults", "work"),
    "weights/README.md": ("quality",),
}


def test_relative_links_lead_somewhere():
    missing = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            if "://" in path:
                continue
            target = page.parent / path if path else page
            if not target.exists():
                missing.append(f"{page.relative_to(ROOT)}: {link}")
            elif anchor and anchor not in anchors(target):
                missing.append(f"{page.relative_to(ROOT)}: no heading {link}")
    assert not missing


def test_files_in_the_tables_exist():
    missing = []
    for page in PAGES:
        for row in re.findall(r"^\| (`[^|]*`) \|", page.read_text(), re.MULTILINE):
            for name in re.findall(r"`([\w/]+(?:\.(?:py|c|h|js)|/))`", row):
                if not any((folder / name).exists() for folder in (page.parent, ROOT)):
                    missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert [name for name in missing if "NAME" not in name] == []


def test_the_front_page_is_short():
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(text.split()) <= 900


def anchors(page):
    """The names that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", MARKS)
def test_figures_come_between_their_marks(name, tmp_path):
    """A bench that finds the same figures leaves the page as it is, and other ones replace them."""
    page = (ROOT / name).read_text()
    assert set(re.findall(r"<!-- (\w+) -->", page)) == set(MARKS[name])
    copy = tmp_path / "page.md"
    for mark in MARKS[name]:
        (found,) = re.findall(rf"( *)<!-- {mark} -->\n(.*?)<!-- /{mark} -->", page, re.DOTALL)
        margin, body = found
        copy.write_text(page)
        quote(copy, mark, [line.removeprefix(margin) for line in body.splitlines() if line.strip()])
        assert copy.read_text() == page
        quote(copy, mark, ["one", "two"])
        new = f"<!-- {mark} -->\n{margin}one\n{margin}two\n{margin}<!-- /{mark} -->"
        assert copy.read_text() == page.replace(f"<!-- {mark} -->\n{body}<!-- /{mark} -->", new)
