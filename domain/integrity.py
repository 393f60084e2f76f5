"""What agrees with its receipts and what does not: the flag that values carry, and the refusal.

The signed log is believed. Rows that speak of the same thing are compared with it whenever they are read; `differs`
names what does not agree. Whoever writes the store but holds no signing key cannot make the two agree.
"""

from dataclasses import field
from typing import Any

from domain.errors import Conflict

# metadata of a field that no column holds
DERIVED = {"stored": False}
ALTERED = "altered"


def differs_field() -> Any:
    """The field of a stored value that names what of it does not agree with its receipts; () = everything does."""
    return field(default=(), metadata=DERIVED)


class Altered(Conflict):
    """What the store holds is not what was signed."""

    code = ALTERED

    def __init__(self, message: str, *, differs: tuple[str, ...] = ()) -> None:
        super().__init__(message, details={"differs": list(differs)})
        self.differs = differs
