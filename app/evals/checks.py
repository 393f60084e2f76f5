"""What an evaluation finds: named checks and figures, kept as small JSON."""

from dataclasses import dataclass, field
from typing import Any

SAID = 300


class NotRunError(Exception):
    """An evaluation that cannot be carried out here; the text says why. It proves nothing and fails nothing."""


@dataclass(slots=True)
class Checks:
    """Filled by an evaluation while it runs."""

    found: list[tuple[str, bool, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def that(self, name: str, holds: object, said: object = "") -> bool:
        """Note one check; `said` is what was found, kept only where it does not hold."""
        ok = bool(holds)
        self.found.append((name, ok, "" if ok else str(said)[:SAID]))
        return ok

    def same(self, name: str, found: object, expected: object) -> bool:
        """Note whether two values are equal, with both where they are not."""
        return self.that(name, found == expected, f"found {found!r}, expected {expected!r}")

    @property
    def passed(self) -> bool:
        """Every check holds, and there was one."""
        return bool(self.found) and all(ok for _, ok, _ in self.found)

    def details(self) -> dict[str, Any]:
        """As it is recorded."""
        return {
            "checks": [{"name": name, "ok": ok, **({"said": said} if said else {})} for name, ok, said in self.found],
            "figures": self.figures,
        }
