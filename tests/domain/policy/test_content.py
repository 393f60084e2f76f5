"""What arguments really hold: banned text in any disguise, and where addresses lead."""

from dataclasses import replace
from typing import Any

import pytest
from policy_builders import BASE, FACTS, verdict

from domain.governance import Verdict
from domain.policy.content import host_of


@pytest.mark.parametrize(
    "args",
    [
        {"a": "the secret plan"},
        {"a": "THE SECRET PLAN"},
        {"a": ["x", {"b": ("y", "secret plan.")}]},
        {"secret plan": 1},
        {"a": "ｓｅｃｒｅｔ　ｐｌａｎ"},
        {"a": "sec\u200bret\u00ad pl\u2060an"},
        {"a": "secret\n\tplan"},
        {"a": "𝓼𝓮𝓬𝓻𝓮𝓽 plan"},
        {"a": "ſecret plan"},
    ],
)
def test_banned_text_is_found_in_any_dress(args: dict[str, Any]) -> None:
    decision = verdict(replace(BASE, content_bans=("Secret  Plan",)), replace(FACTS, args=args))
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "DATA_EGRESS_BLOCKED")


@pytest.mark.parametrize("args", [{"a": "secret", "b": "plan"}, {"a": "secrets planned"}, {}, {"n": 5, "b": None}])
def test_other_text_is_not(args: dict[str, Any]) -> None:
    assert verdict(replace(BASE, content_bans=("secret plan",)), replace(FACTS, args=args)).verdict is Verdict.ALLOW


def test_numbers_are_text_too() -> None:
    banned = replace(BASE, content_bans=("4111",))
    assert verdict(banned, replace(FACTS, args={"card": 4111111111111111})).verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://api.example.com/x?u=http://evil.example", "api.example.com"),
        ("HTTPS://API.Example.COM:8443", "api.example.com"),
        (" https://api.example.com. ", "api.example.com"),
        ("https://api.example.com/a\\b?c=\\d", "api.example.com"),
        ("\thttps://evil.example\n", "evil.example"),
        ("ht\ntp\ts://evil.ex\rample/", "evil.example"),
        ("\x00\x1f https://evil.example", "evil.example"),
        ("https://api.example.com./x", "api.example.com"),
        ("https://[2001:db8::1]:80/", "2001:db8::1"),
        ("https://api.example.com@evil.example/", ""),
        ("https://evil.example\\@api.example.com/", ""),
        ("https:\\\\evil.example/", ""),
        ("https:/evil.example", ""),
        ("https:evil.example", ""),
        ("https://", ""),
        ("https://[oops", ""),
        ("https://пример.рф/", ""),
        ("https://evil.example%2eapi.example.com/", ""),
        ("see https://api.example.com", None),
        ("ftp://example.com", None),
        ("", None),
    ],
)
def test_where_an_address_leads(text: str, host: str | None) -> None:
    assert host_of(text) == host


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"url": "https://api.example.com/v1"}, Verdict.ALLOW),
        ({"url": "https://a.b.pages.example/"}, Verdict.ALLOW),
        ({"url": "https://pages.example/"}, Verdict.DENY),
        ({"url": "https://evilpages.example/"}, Verdict.DENY),
        ({"url": "https://evil.example/?https://api.example.com"}, Verdict.DENY),
        ({"url": "https://api.example.com.evil.example/"}, Verdict.DENY),
        ({"url": "https://api.example.com@evil.example/"}, Verdict.DENY),
        ({"body": {"callback": ["http://evil.example"]}}, Verdict.DENY),
        ({"text": "no address"}, Verdict.ALLOW),
    ],
)
def test_only_listed_hosts(args: dict[str, Any], expected: Verdict) -> None:
    listed = replace(BASE, allowed_hosts=("api.example.com", "*.pages.example"))
    decision = verdict(listed, replace(FACTS, tool="http.get", effect=1, args=args))
    assert decision.verdict is expected
    if expected is Verdict.DENY:
        assert (decision.reason_code, decision.rule_id) == ("DATA_EGRESS_BLOCKED", "allowed_hosts")
    assert verdict(BASE, replace(FACTS, tool="http.get", effect=1, args=args)).verdict is Verdict.ALLOW
