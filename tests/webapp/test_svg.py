"""The picture of a task's proofs."""

from xml.etree import ElementTree as ET

import locales
from webapp.svg import SHOWN, proof_graph_svg

TEXTS = locales.load().of("en")


def node(
    name: str, kind: str = "decision", verdict: str = "ALLOW", tool: str | None = "note.create"
) -> dict[str, object]:
    return {"id": name, "kind": kind, "verdict": verdict, "tool": tool, "action": "tool:decided", "hash": "ab" * 32}


def test_every_receipt_is_a_link_and_every_edge_a_line() -> None:
    graph = {
        "nodes": [node("a", "request", "ESCALATE"), node("b", "resolution"), node("c", "outcome", "DENY")],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}, {"from": "x", "to": "c"}],
    }
    root = ET.fromstring(proof_graph_svg(graph, TEXTS))
    assert [link.get("href") for link in root.iter("a")] == ["#/receipts/a", "#/receipts/b", "#/receipts/c"]
    assert [approver_rule.get("class") for approver_rule in root.iter("circle")] == ["ask", "good", "bad"]
    assert len([p for p in root.iter("path") if p.get("class") == "edge"]) == 2
    assert [link.get("aria-label") for link in root.iter("a")][2] == "outcome: note.create, denied"


def test_hostile_names_are_text() -> None:
    graph = {"nodes": [node('"><script>alert(1)</script>', tool="<b>&'\"x</b>")], "edges": []}
    root = ET.fromstring(proof_graph_svg(graph, TEXTS))
    assert next(text.text for text in root.iter("text")) == "<b>&'\"x</b>"
    assert not list(root.iter("script"))


def test_nothing_to_show_and_too_much_to_show() -> None:
    assert proof_graph_svg({"nodes": [], "edges": []}, TEXTS) == ""
    many = {"nodes": [node(str(n)) for n in range(SHOWN + 40)], "edges": []}
    assert len(list(ET.fromstring(proof_graph_svg(many, TEXTS)).iter("a"))) == SHOWN
