"""Every text the pages and scripts name exists, and none is kept that nobody names."""

import re
from pathlib import Path

import locales
from webapp.texts import SCRIPT_ERRORS, SCRIPT_KEYS, script_texts

# keys made of a prefix and a value of a closed list
FAMILIES = (
    "approval",
    "did",
    "count",
    "verdict",
    "severity",
    "kind",
    "grant",
    "settle",
    "channel",
    "operator",
    "node",
    "every",
    "tool",
)
SOURCES = "".join(
    p.read_text() for folder in ("templates", "fragments", ".") for p in Path("webapp", folder).glob("*.*")
)
NAMED = set(re.findall(r"[\"'](app-[a-z0-9_-]*[a-z0-9_])[\"']", SOURCES))
HAVE = set(re.findall(r"^(app-[\w-]+) =", Path("locales/en/miniapp.ftl").read_text(), re.MULTILINE))


def test_every_named_text_exists_and_none_is_left_over() -> None:
    assert set() == NAMED - HAVE
    spare = {key for key in HAVE - NAMED if not key.startswith((*(f"app-{f}-" for f in FAMILIES), "app-error-"))}
    assert spare == set()


def test_scripts_get_every_text_they_say() -> None:
    script = "".join(p.read_text() for p in Path("webapp/static").glob("*.js"))
    said = {f"app-{key}" for key in re.findall(r'say\("([\w-]+)"', script)}
    assert said - set(SCRIPT_KEYS) == set()
    for code in locales.languages():
        texts = script_texts(locales.load().of(code))
        assert "{email}" in texts["code-sent"]
        assert texts["error-stale_version"] == locales.load().of(code)("error-stale_version") != "error-stale_version"
        assert set(texts.values()).isdisjoint(f"error-{name}" for name in SCRIPT_ERRORS)
        assert "{size}" in texts["checked-here"]
