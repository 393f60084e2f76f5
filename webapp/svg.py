"""The graph of a task's proofs as a picture: one row a receipt, lines from what led to it."""

from html import escape
from typing import Any

ROW = 46
WIDTH = 340
_LANES = {"change": 0, "request": 1, "decision": 1, "resolution": 2, "outcome": 3}
_WORDS = {
    "change": "recorded",
    "request": "asked",
    "decision": "decided",
    "resolution": "answered",
    "outcome": "outcome",
}


def proof_graph_svg(graph: dict[str, Any]) -> str:
    """An SVG of `services.receipts.proof_graph`; "" when there is nothing to show."""
    nodes = graph["nodes"][-60:]
    if not nodes:
        return ""
    place = {node["id"]: (18 + 16 * _LANES.get(node["kind"], 0), 24 + ROW * n) for n, node in enumerate(nodes)}
    parts: list[str] = []
    for edge in graph["edges"]:
        if edge["from"] in place and edge["to"] in place:
            (x1, y1), (x2, y2) = place[edge["from"]], place[edge["to"]]
            middle = (y1 + y2) / 2
            parts.append(f'<path class="edge" d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"/>')
    for node in nodes:
        x, y = place[node["id"]]
        tone = {"ALLOW": "good", "DENY": "bad"}.get(node["verdict"], "ask")
        label = f"{_WORDS.get(node['kind'], node['kind'])}: {node['tool'] or node['action']}"
        parts.append(
            f'<a href="#/receipts/{escape(node["id"])}" aria-label="{escape(label)} {node["verdict"]}">'
            f'<circle class="{tone}" cx="{x}" cy="{y}" r="7"/>'
            f'<text x="84" y="{y - 2}">{escape(label[:34])}</text>'
            f'<text class="hint" x="84" y="{y + 14}">{escape(node["verdict"])} · {escape(node["hash"][:12])}</text></a>'
        )
    height = ROW * len(nodes) + 8
    return (
        f'<svg class="graph" role="img" aria-label="What led to what" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">{"".join(parts)}</svg>'
    )
