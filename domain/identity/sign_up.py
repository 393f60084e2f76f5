"""Who may have an account on an installation: the mode it is in, and the people its administrator named."""

from dataclasses import dataclass
from enum import StrEnum

from domain.addresses import normal_address, normal_domain
from domain.errors import Forbidden

# Telegram promises that ids of people fit into 52 bits
MAX_TELEGRAM_ID = 2**52


class SignUpMode(StrEnum):
    """Who may sign up besides the people on the allow-lists.

    - `first`: the first person who comes, and nobody after that.
    - `invite`: the first person, and whoever holds an invite, into the workspace of the invite.
    - `open`: everybody.
    """

    FIRST = "first"
    INVITE = "invite"
    OPEN = "open"


class SignUpClosed(Forbidden):
    """Sign-up is closed here: ask somebody who uses this Pilot for an invite link."""

    code = "sign_up_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """People who may always sign up. `emails` and `domains` are normal (see `domain.addresses`)."""

    emails: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    telegram_ids: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.emails or self.domains or self.telegram_ids)

    def names(self, *, email: str | None, telegram_id: int | None) -> bool:
        """Whether it names a person with this proven, normal address or this Telegram account."""
        if telegram_id is not None and telegram_id in self.telegram_ids:
            return True
        # the whole domain, never its end: x@evil-example.com and x@sub.example.com are not at example.com
        return email is not None and (email in self.emails or email.rpartition("@")[2] in self.domains)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpRule:
    """What an installation is set to. `workspaces_each`: how many workspaces one person may own."""

    mode: SignUpMode
    allowed: AllowList = AllowList()
    workspaces_each: int = 20


def allow_list(emails: tuple[str, ...], telegram_ids: tuple[int, ...]) -> AllowList:
    """The list of entries that `email_entry` and `telegram_entry` gave."""
    return AllowList(
        emails=frozenset(entry for entry in emails if not entry.startswith("@")),
        domains=frozenset(entry[1:] for entry in emails if entry.startswith("@")),
        telegram_ids=frozenset(telegram_ids),
    )


def email_entry(text: str) -> str:
    """An entry of the allow-list of addresses in its normal form: `ada@example.com` or `@example.com`.

    ValueError says which entry is wrong and what to write instead.
    """
    if "@" not in text:
        raise ValueError(f"{text[:60]!r} is no address: write ada@{text[:60]}, or @{text[:60]} for everybody there")
    if text.startswith("@"):
        domain = normal_domain(text[1:])
        if domain is None:
            raise ValueError(f"{text[:60]!r} is no domain: write @example.com")
        return f"@{domain}"
    address = normal_address(text)
    if address is None or "*" in text:
        raise ValueError(f"{text[:60]!r} is no address: write ada@example.com, or @example.com for everybody there")
    return address


def telegram_entry(text: str) -> int:
    """An entry of the allow-list of Telegram ids. ValueError says which entry is wrong and what to write instead."""
    digits = text.strip()
    if digits.startswith("-") and digits[1:].isdecimal():
        raise ValueError(f"{text[:60]!r} is the id of a group: give the ids of the people in it")
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{text[:60]!r} is no Telegram id: give the number, as a user name can change hands")
    if not 0 < int(digits[:20]) < MAX_TELEGRAM_ID:
        raise ValueError(f"{text[:60]!r} is no Telegram id: it is out of range")
    return int(digits)
