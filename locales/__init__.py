"""Texts in every language, from Fluent files; a message a language lacks is taken from its fallback, then English."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fluent.runtime import FluentBundle, FluentResource

ROOT = Path(__file__).parent
BASE = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language. `dir` is ltr or rtl; `aliases` are codes that mean it as well."""

    code: str
    name: str
    dir: str
    fallback: str | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts for one reader. Call it with a message id: `t("task-queued", title="x")`."""

    language: Language
    bundles: tuple[FluentBundle, ...]
    _plain: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def code(self) -> str:
        """The language's code."""
        return self.language.code

    def __call__(self, key: str, **values: Any) -> str:
        """The message, trimmed; the key itself when nobody has it (a test keeps that from happening)."""
        if not values and (known := self._plain.get(key)) is not None:
            return known
        for bundle in self.bundles:
            if bundle.has_message(key):
                message = bundle.get_message(key)
                if message.value is not None:
                    text, _errors = bundle.format_pattern(message.value, values)
                    if not values:
                        # a page has a hundred of these: each is put together once
                        self._plain[key] = str(text)
                    return str(text)
        return key

    def has(self, key: str) -> bool:
        """Whether there is such a message."""
        return any(bundle.has_message(key) for bundle in self.bundles)


class Translator:
    """Chooses the texts for a reader."""

    def __init__(self, languages: Mapping[str, Language], bundles: Mapping[str, FluentBundle]) -> None:
        self.languages = dict(languages)
        self._bundles = dict(bundles)
        self._codes = {
            code.lower(): language.code
            for language in languages.values()
            for code in (language.code, *language.aliases)
        }
        self._texts: dict[str, Texts] = {}

    def match(self, wanted: str | None) -> str | None:
        """Our code for a wanted one (`pt-br`, `pt_BR`, `es-419`), None when we do not speak it."""
        if not wanted:
            return None
        code = wanted.lower().replace("_", "-")
        return self._codes.get(code) or self._codes.get(code.partition("-")[0])

    def of(self, *wanted: str | None) -> Texts:
        """The texts of the first wanted language we speak, English else.

        The order is: what the person chose, what their client says, what the workspace prefers.
        """
        code = next((found for w in wanted if (found := self.match(w)) is not None), BASE)
        if code not in self._texts:
            self._texts[code] = Texts(self.languages[code], tuple(self._bundles[c] for c in self._chain(code)))
        return self._texts[code]

    def _chain(self, code: str) -> Sequence[str]:
        chain = [code]
        while (following := self.languages[chain[-1]].fallback) is not None and following not in chain:
            chain.append(following)
        return chain if BASE in chain else [*chain, BASE]


def languages() -> dict[str, Language]:
    """Every language of languages.toml, by code."""
    listed = tomllib.loads((ROOT / "languages.toml").read_text(encoding="utf-8"))
    return {
        code: Language(
            code=code,
            name=entry["name"],
            dir=entry["dir"],
            fallback=entry.get("fallback"),
            aliases=tuple(entry.get("aliases", ())),
        )
        for code, entry in listed.items()
    }


def _bundle(language: Language) -> FluentBundle:
    # Isolation marks keep names apart from text of the other direction; where all is left to right
    # they would only be copied along with ids and amounts.
    bundle = FluentBundle([language.code], use_isolating=language.dir == "rtl")
    for path in sorted((ROOT / language.code).glob("*.ftl")):
        bundle.add_resource(FluentResource(path.read_text(encoding="utf-8")))
    return bundle


@lru_cache(maxsize=1)
def load() -> Translator:
    """The translator over the files beside this module. Reads them once: call it off the event loop."""
    known = languages()
    return Translator(known, {code: _bundle(language) for code, language in known.items()})
