"""Mail addresses as they are compared: one spelling each, whatever case or script they came in."""

import re

import idna

MAX_ADDRESS = 254
_LOCAL = re.compile(r"[^@\s\x00-\x1f,;<>()\[\]\\\"]{1,64}")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")


def normal_address(text: str) -> str | None:
    """The address trimmed, in lower case, its domain as DNS has it (`xn--...`); None for what is no address."""
    local, at, domain = text.strip().lower().rpartition("@")
    found = normal_domain(domain)
    if not at or found is None or not _LOCAL.fullmatch(local) or ".." in local:
        return None
    address = f"{local}@{found}"
    return address if len(address) <= MAX_ADDRESS else None


def normal_domain(text: str) -> str | None:
    """A domain in lower case, as DNS has it; None for what is none. Letters that only look alike stay different."""
    domain = text.lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain[:MAX_ADDRESS], uts46=True, std3_rules=True).decode()
        except idna.IDNAError:
            return None
    return domain if _DOMAIN.fullmatch(domain) and ".." not in domain else None
