"""Templates, scripts and styles as they are written: short lines, nothing inline, nothing left over."""

import re
from itertools import chain
from pathlib import Path

import pytest

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
