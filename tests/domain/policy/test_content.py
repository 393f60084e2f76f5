"""What arguments really hold: banned text in any disguise, and where addresses lead."""

from dataclasses import replace
from typing import Any

import pytest
from policy_builders import BASE, FACTS, verdict

from domain.policy.content import host_of, plain
from domain.policy.governance import Verdict
from tests.cost import HOLDS_NOBODY, cpu


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


@pytest.mark.parametrize("prefix", ["http://", "https://", "\x00 h\tttp:", "http:"])
@pytest.mark.parametrize("host", ["\u0315\u0300" * 100_000, "a" + "\u0301" * 200_000, "ä." * 100_000, "\t" * 400_000])
def test_an_address_without_an_end_is_no_work(prefix: str, host: str) -> None:
    assert host_of(prefix + host) == ""
    assert cpu(lambda: host_of(prefix + host)) < HOLDS_NOBODY


@pytest.mark.parametrize(
    "path", ["/" + "a" * 100_000, "?" + "\u0301" * 100_000, "#" + "ä" * 100_000, ":443/" + "." * 9000]
)
def test_what_is_behind_the_host_does_not_matter(path: str) -> None:
    assert host_of("https://api.example.com" + path) == "api.example.com"


@pytest.mark.parametrize("text", ["a" + "\u0315\u0300" * 20_000, "a" + "\uff9e\u0300" * 20_000, "\u0301" * 40_000])
def test_marks_without_number_do_not_hold_a_decision_up(text: str) -> None:
    policy, facts = replace(BASE, content_bans=("secret",)), replace(FACTS, args={"text": text})
    assert verdict(policy, facts).verdict is Verdict.ALLOW
    assert cpu(lambda: verdict(policy, facts)) < HOLDS_NOBODY


def test_what_cannot_be_read_out_is_not_let_through() -> None:
    # one sign that stands for eighteen, in number: looking through it would take seconds
    policy = replace(BASE, content_bans=("secret",))
    decision = verdict(policy, replace(FACTS, args={"text": "\ufdfa" * 300_000}))
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PDP_ERROR")
    assert verdict(policy, replace(FACTS, args={"text": "\ufdfa" * 100})).verdict is Verdict.ALLOW


@pytest.mark.parametrize("place", [0, 1990, 1998, 1999, 2000, 2001, 3999, 4000])
@pytest.mark.parametrize("letter", ["й", "и\u0306", "é", "e\u0301", "각", "\u1100\u1161\u11a8", "ガ", "カ\uff9e"])
def test_a_ban_is_found_wherever_it_stands_in_a_long_text(place: int, letter: str) -> None:
    text = "ш" * place + f"xx{letter}yy" + "ш" * 3000
    assert plain(f"xx{letter}yy") in plain(text)
