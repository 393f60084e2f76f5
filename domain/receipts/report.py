"""What a verification reports: its checks by name, in their order, and what each found."""

from dataclasses import dataclass
from typing import Any

# In this order: a report names the first that fails.
CHECKS = (
    "structure",
    "manifest",
    "index",
    "keys",
    "seal",
    "scope",
    "canonical",
    "members",
    "signature",
    "key",
    "chain",
    "inclusion",
    "checkpoint",
    "outside",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it held (None: not reached), what it found, in which file."""

    name: str
    ok: bool | None
    detail: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification. `pinned` says whether the keys were the caller's or only the archive's claim."""

    ok: bool
    checks: tuple[Check, ...]
    receipts: int
    origin: str = ""
    tree_size: int = 0
    root: str = ""
    scope: str = ""
    keys: tuple[str, ...] = ()
    pinned: bool = False
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[str, ...]:
        """`check: what is wrong (file)` for each check that failed."""
        return tuple(
            f"{check.name}: {check.detail}" + (f" ({check.where})" if check.where else "")
            for check in self.checks
            if check.ok is False
        )

    def to_json(self) -> dict[str, Any]:
        """`{ok, receipts, origin, treeSize, root, scope, keys, pinned, checks: [...], errors, notes}`."""
        return {
            "ok": self.ok,
            "receipts": self.receipts,
            "origin": self.origin,
            "treeSize": self.tree_size,
            "root": self.root,
            "scope": self.scope,
            "keys": list(self.keys),
            "pinned": self.pinned,
            "checks": [
                {"name": check.name, "ok": check.ok, "detail": check.detail, "where": check.where}
                for check in self.checks
            ],
            "errors": list(self.errors),
            "notes": list(self.notes),
        }


class CheckFailed(Exception):
    """The first check that does not hold, what is wrong, and in which file."""

    def __init__(self, check: str, detail: str, where: str = "") -> None:
        super().__init__(detail)
        self.check = check
        self.detail = detail
        self.where = where
