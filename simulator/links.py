"""Addresses in buttons and texts, refused as Telegram refuses them: the reasons in its words."""

import ipaddress
import re

_SCHEME = re.compile(r"([^:/?#@\[\]]*)://")
# what its server lets stand in a host; plain characters beyond ASCII pass as well
_HOST = re.compile(r"(?:[A-Za-z0-9.\-_!$,~*'();&+=]|%[0-9a-fA-F]{2}|[^\x00-\x7f])+")
_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_SPECIAL = re.compile(r"(tg|ton|tonsite):(?://)?", re.IGNORECASE)


def why_wrong(url: str, *, https_only: bool = False) -> str:
    """Why an address is refused, empty when it is not. `https_only`: as for Mini Apps."""
    special = _SPECIAL.match(url)
    rest = url[special.end() :] if special else url
    scheme = _SCHEME.match(rest)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return "Unsupported URL protocol"
    secure = scheme is not None and scheme[1].lower() == "https"
    place = re.split(r"[/?#]", rest[scheme.end() :] if scheme else rest, maxsplit=1)[0]
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]") or "@" in port:
        host, port = place, ""
    if colon and port == "" and host != place:
        return "Wrong port number specified in the URL"
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[-9:]) <= 65535 and len(port) < 9):
        return "Wrong port number specified in the URL"
    host = host.rpartition("@")[2]
    reason = _wrong_host(host)
    if reason:
        return reason
    if https_only and (special or not secure):
        return "Only HTTPS links are allowed"
    if special:
        return "" if re.fullmatch(r"[A-Za-z0-9_.-]*", host) else "Unallowed characters in URL host"
    return "Wrong HTTP URL" if "." not in host and not host.startswith("[") else ""


def _wrong_host(host: str) -> str:
    if not host:
        return "URL host is empty"
    if host == ".":
        return "Host is invalid"
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return "Wrong IPv6 address specified in the URL"
        return ""
    if _HOST.fullmatch(host):
        return ""
    return "Wrong percent-encoded symbol in URL host" if _PERCENT.search(host) else "Disallowed character in URL host"
