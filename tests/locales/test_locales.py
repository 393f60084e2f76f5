"""Every language has the same messages with the same variables as English, and each can be formatted."""

import re
from pathlib import Path

import pytest
from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

import locales
from bot.commands import COMMANDS
from domain.identity.permissions import TABLE
from domain.ledger.audit import AuditAction
from locales.words import can, event, verdict_word, why_ended

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


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_refusal_says_in_every_language_what_only_others_can_do(code: str):
    t = locales.load().of(code)
    phrases = [rule.phrase for rule in TABLE.values()] + ["resolve approvals of E4"]
    said = {phrase: can(t, phrase) for phrase in phrases}
    assert [phrase for phrase in phrases if f"can-{phrase.lower().replace(' ', '-')}" not in messages(code)] == []
    for phrase in phrases:
        for role in ("owner", "partner", "member"):
            assert said[phrase] in t("error-insufficient_role", action=said[phrase], role=role)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_action_has_a_name_in_every_language_and_no_name_is_left_over(code: str):
    t = locales.load().of(code)
    names = {event(t, str(action)) for action in AuditAction}
    assert not {name for name in names if ":" in name}
    keys = {key for key, (file, _) in messages(code).items() if file == "events.ftl"}
    assert keys == {"event-" + action.replace(":", "-") for action in AuditAction}
    assert event(t, "http.post") == "http.post"
    assert [verdict_word(t, said) for said in ("ALLOW", "deny")] == [t("app-verdict-allow"), t("app-verdict-deny")]
    assert verdict_word(t, "other") == "other"


@pytest.mark.parametrize("code", LANGUAGES)
def test_why_a_run_ended_is_told_by_its_code_whatever_the_sentence_was(code: str):
    t = locales.load().of(code)
    for error in ("x", "No model is configured, so nobody can plan it.", ""):
        assert why_ended(t, error, code="no_model") == t("ended-no-model")
        assert why_ended(t, error, code="model_removed") == t("ended-model-removed")
        assert why_ended(t, error, code="installation_budget_exceeded") == t("ended-installation-budget")
        for other in (None, "dead_letter", "playbook_stopped"):
            assert why_ended(t, error, code=other) == error
    assert why_ended(t, "x\nLine 1 names a tool.", code="no_model") == f"{t('ended-no-model')} Line 1 names a tool."
