"""Every language has the same messages with the same variables as English, and each can be formatted."""

import re
from pathlib import Path

import pytest
from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

import locales
from bot.commands import COMMANDS

LANGUAGES = sorted(locales.languages())


class Variables(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:  # noqa: N802
        self.names.add(node.id.name)


def messages(code: str) -> dict[str, tuple[str, set[str]]]:
    found: dict[str, tuple[str, set[str]]] = {}
    for path in sorted((locales.ROOT / code).glob("*.ftl")):
        for entry in FluentParser().parse(path.read_text(encoding="utf-8")).body:
            assert not isinstance(entry, ast.Junk), f"{path}: {entry.content}"
            if isinstance(entry, ast.Message):
                assert entry.id.name not in found, f"{path}: {entry.id.name} twice"
                seen = Variables()
                seen.visit(entry)
                found[entry.id.name] = (path.name, seen.names)
    return found


def test_every_folder_is_listed():
    assert sorted(p.name for p in locales.ROOT.iterdir() if p.is_dir() and any(p.glob("*.ftl"))) == LANGUAGES


@pytest.mark.parametrize("code", LANGUAGES)
def test_same_keys_files_and_variables_as_english(code: str):
    assert messages(code) == messages("en")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_message_can_be_formatted(code: str):
    t = locales.load().of(code)
    for key, (_, names) in messages(code).items():
        for number in (0, 1, 2, 5, 21):
            bundle = t.bundles[0]
            message = bundle.get_message(key)
            text, errors = bundle.format_pattern(
                message.value, {n: number if n in ("count", "uses", "size") else "<X & Co>" for n in names}
            )
            assert not errors, (key, errors)
            assert str(text).strip(), key


@pytest.mark.parametrize("code", LANGUAGES)
def test_telegrams_limits_are_kept(code: str):
    t = locales.load().of(code)
    for command in COMMANDS:
        assert 1 <= len(command.text(t)) <= 256
    assert len(t("bot-about")) <= 120
    assert len(t("bot-description")) <= 512


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (("pt-br",), "pt-BR"),
        (("pt_BR",), "pt-BR"),
        (("pt",), "pt-BR"),
        (("es-419",), "es"),
        (("zh-hans", "ru"), "ru"),
        ((None, "", "xx"), "en"),
        (("ru", "en"), "ru"),
    ],
)
def test_the_first_wanted_language_we_speak_is_taken(wanted: tuple[str | None, ...], code: str):
    assert locales.load().of(*wanted).code == code


def test_a_message_a_language_lacks_is_shown_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "en").mkdir()
    (tmp_path / "ru").mkdir()
    (tmp_path / "en" / "a.ftl").write_text("hello = Hello { $name }\nbye = Bye\n")
    (tmp_path / "ru" / "a.ftl").write_text("hello = Привет { $name }\n")
    listed = '[en]\nname = "English"\ndir = "ltr"\n[ru]\nname = "Русский"\ndir = "ltr"\nfallback = "en"\n'
    (tmp_path / "languages.toml").write_text(listed)
    monkeypatch.setattr(locales, "ROOT", tmp_path)
    locales.load.cache_clear()
    try:
        t = locales.load().of("ru")
        assert (t("hello", name="Ada"), t("bye"), t("unknown")) == ("Привет Ada", "Bye", "unknown")
    finally:
        locales.load.cache_clear()


def test_russian_plurals_follow_the_number():
    t = locales.load().of("ru")
    assert [t("progress-more", count=n) for n in (1, 3, 5)] == [
        "… ещё 1 шаг раньше",
        "… ещё 3 шага раньше",
        "… ещё 5 шагов раньше",
    ]


def test_every_key_the_bot_uses_exists():
    """Literal keys in bot/, and the families built from enums."""
    have = messages("en")
    for path in sorted(Path("bot").glob("*.py")):
        for key in re.findall(r"""\bt\(\s*"([a-z0-9_-]+)["]""", path.read_text(encoding="utf-8")):
            assert key in have, f"{path}: {key}"
