"""Templates, scripts and styles as they are written: short lines, nothing inline, nothing left over."""

import re
from itertools import chain
from pathlib import Path

import pytest

from webapp.assets import load_assets, smaller_script, smaller_style

WEBAPP = Path("webapp")
TEMPLATES = sorted((WEBAPP / "templates").glob("*.html"))
SCRIPTS = sorted((WEBAPP / "static").glob("*.js"))
STYLES = sorted((WEBAPP / "static").glob("*.css"))
SIMULATOR = sorted(p for p in Path("simulator/static").iterdir() if p.suffix in (".js", ".css"))
MACROS = (WEBAPP / "templates" / "macros.html").read_text()


@pytest.mark.parametrize("file", [*TEMPLATES, *SCRIPTS, *STYLES, *SIMULATOR], ids=str)
def test_no_line_is_longer_than_a_screen(file: Path) -> None:
    long = [number for number, line in enumerate(file.read_text().splitlines(), 1) if len(line) > 140]
    assert long == []


@pytest.mark.parametrize("file", TEMPLATES, ids=str)
def test_nothing_is_inline(file: Path) -> None:
    """The content security policy would refuse it."""
    text = file.read_text()
    scripts = [s for s in re.findall(r"<script[^>]*>", text) if "src=" not in s and 'type="application/json"' not in s]
    assert scripts == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []


def test_every_macro_is_used() -> None:
    used = "".join(p.read_text() for p in TEMPLATES)
    spare = {name for name in re.findall(r"macro (\w+)\(", MACROS) if len(re.findall(rf"\b{name}\(", used)) < 2}
    assert spare == set()


def test_every_style_has_something_to_style() -> None:
    styles = re.sub(r"/\*.*?\*/", "", "".join(p.read_text() for p in STYLES), flags=re.DOTALL)
    selectors = " ".join(re.findall(r"([^{}]+)\{", styles))
    named = set(re.findall(r"\.([a-z][\w-]*)", selectors))
    pages = "".join(p.read_text() for p in chain(TEMPLATES, SCRIPTS, WEBAPP.rglob("*.py")))
    words = set(re.findall(r"[a-z][\w-]*", pages))
    assert named - words == set()


def test_the_page_keeps_its_state_in_one_object() -> None:
    """Only the bridge to Telegram keeps something beside it: nobody else reads that."""
    variables = {p.name: re.findall(r"^(?:let|var) .*", p.read_text(), re.MULTILINE) for p in SCRIPTS}
    assert {name for name, found in variables.items() if found} <= {"bridge.js"}


def test_what_is_sent_is_what_is_written_without_indents_and_comments() -> None:
    sent = load_assets().files
    assert set(sent) == {p.name for p in (*SCRIPTS, *STYLES)}
    for file in (*SCRIPTS, *STYLES):
        text = file.read_text()
        # a string over several lines would lose its indents
        assert [line for line in text.splitlines() if line.count("`") % 2] == [], file
        if file in SCRIPTS:
            kept = [line.strip() for line in text.splitlines() if not line.strip().startswith("//")]
            assert sent[file.name].body.decode().splitlines() == kept
        else:
            assert re.sub(r"\s+", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)) == re.sub(
                r"\s+", "", sent[file.name].body.decode()
            )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("a();\n  // why\n  b();\n", "a();\nb();\n"),
        ('open("https://x"); // here\n', 'open("https://x"); // here\n'),
        ("  x = 1;\n\n", "x = 1;\n\n"),
    ],
)
def test_a_smaller_script(written: str, sent: str) -> None:
    assert smaller_script(written) == sent


def test_a_smaller_style() -> None:
    assert smaller_style("/* a\n b */\na {\n  color: red; /* c */\n}\n") == "a {\ncolor: red; }\n"
