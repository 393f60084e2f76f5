"""The graph of a task's proofs as a picture: one row a receipt, lines from what led to it."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from locales import Texts

ROW = 52
WIDTH = 340
LANE = 18
TEXT = 96
SHOWN = 60
BARS = 90
# the further down the chain a receipt stands, the further in it is drawn
_LANES = {"request": 1, "decision": 1, "resolution": 2, "outcome": 3}
_TONES = {"ALLOW": "good", "DENY": "bad"}
_SIGNS = {
    "good": "M-3.500 .200l2.400 2.600 4.600-5.400",
    "bad": "M-3-3l6 6M3-3l-6 6",
    "ask": "M0-3.600v4.400M0 3.600v.200",
}
_KINDS = frozenset({"request", "decision", "resolution", "outcome"})


def proof_graph_svg(graph: dict[str, Any], t: Texts) -> Markup:
    """An SVG of what `proof_graph` returns; empty when there is nothing to show. Every text in it is escaped."""
    nodes = graph["nodes"][-SHOWN:]
    if not nodes:
        return Markup()
    place = {node["id"]: (18 + LANE * _LANES.get(node["kind"], 0), 24 + ROW * n) for n, node in enumerate(nodes)}
    parts: list[Markup] = []
    for edge in graph["edges"]:
        if edge["from"] in place and edge["to"] in place:
            (x1, y1), (x2, y2) = place[edge["from"]], place[edge["to"]]
            middle = (y1 + y2) / 2
            parts.append(
                Markup('<path class="edge" d="M{} {}C{} {} {} {} {} {}"/>').format(
                    x1, y1, x1, middle, x2, middle, x2, y2
                )
            )
    parts.extend(_node(node, place[node["id"]], t) for node in nodes)
    height = ROW * len(nodes)
    return Markup('<svg class="graph" role="group" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        t("app-proof-graph"), WIDTH, height, Markup().join(parts)
    )


def day_bars_svg(values: Sequence[int]) -> Markup:
    """One bar for each value, oldest first, as high as its part of the highest. The figures are for a table beside."""
    highest = max(values, default=0) or 1
    wide = WIDTH / max(len(values), 1)
    bars = [
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"/>').format(
            n * wide + wide * 0.1, BARS - tall, wide * 0.8, tall
        )
        for n, value in enumerate(values)
        # a day that took anything is seen
        if (tall := max(BARS * value / highest, 2.0 if value else 0.0))
    ]
    line = Markup('<path d="M0 {}h{}"/>').format(BARS + 1, WIDTH)
    return Markup('<svg class="bars" aria-hidden="true" viewBox="0 0 {} {}">{}{}</svg>').format(
        WIDTH, BARS + 2, Markup().join(bars), line
    )


def _node(node: dict[str, Any], place: tuple[int, int], t: Texts) -> Markup:
    x, y = place
    altered = bool(node.get("differs"))
    tone = "bad" if altered else _TONES.get(node["verdict"], "ask")
    kind = t(f"app-node-{node['kind']}") if node["kind"] in _KINDS else t("app-node-change")
    what = str(node["tool"] or node["action"])
    # what is not what was signed says so instead of its verdict
    verdict = t("app-not-valid") if altered else t(f"app-verdict-{str(node['verdict']).lower()}")
    return Markup(
        '<a href="#/receipts/{}" aria-label="{}">'
        '<rect class="hit" x="0" y="{}" width="{}" height="{}" rx="8"/>'
        '<circle class="{}" cx="{}" cy="{}" r="9"/><path class="sign" transform="translate({} {})" d="{}"/>'
        '<text x="{}" y="{}">{}</text><text class="hint" x="{}" y="{}">{} · {}</text></a>'
    ).format(
        node["id"],
        f"{kind}: {what}, {verdict}",
        y - 22,
        WIDTH,
        ROW - 4,
        tone,
        x,
        y,
        x,
        y,
        _SIGNS[tone],
        TEXT,
        y - 2,
        _short(what, 30),
        TEXT,
        y + 15,
        t("app-altered") if altered else kind,
        escape(_short(str(node["hash"]), 8)),
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
