"""Notes over the wire on both stores: found, read, written, changed, removed, with receipts and only by who may."""

from pathlib import Path

from tests.api.harness import open_house


async def test_a_note_lives(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path) as harness:
        ada = await harness.person("ada@example.com")
        made = await ada(
            "POST",
            "/api/knowledge/pages",
            {"title": " Prices ", "compiledTruth": "Plan B costs 40 €", "tags": ["sales", "sales", " 2026 "]},
        )
        assert made.status == 201
        note = f"/api/knowledge/pages/{made.data['id']}"
        kept = (await ada("GET", note)).data
        assert (kept["title"], kept["compiledTruth"], kept["tags"]) == (
            "Prices",
            "Plan B costs 40 €",
            ["sales", "2026"],
        )
        receipt = await ada("GET", f"/api/governance/receipts/{made.data['evidenceItemId']}")
        assert receipt.status == 200
        assert "40 €" not in str(receipt.data)
        for words, count in (("plan prices", 1), ("SALES", 1), ("plan missing", 0), ("100%", 0), ("", 1)):
            found = (await ada("GET", f"/api/knowledge/search?q={words.replace('%', '%25').replace(' ', '+')}")).data
            assert len(found) == count, words
        assert (await ada("GET", "/api/knowledge/search?type=page")).data == []
        # an operator's note is found by people, and the other way round
        text = 'note.create title="From an operator" body="b"\nknowledge.search query="prices"\nfinish summary="ok"'
        task = (await ada("POST", "/api/tasks", {"title": "T", "description": text})).data
        await ada("POST", f"/api/tasks/{task['id']}/run?wait=20")
        assert [n["title"] for n in (await ada("GET", "/api/knowledge/search?q=operator")).data] == ["From an operator"]
        changed = await ada("PUT", note, {"compiledTruth": "Plan B costs 50 €"})
        assert (changed.data["title"], changed.data["compiledTruth"]) == ("Prices", "Plan B costs 50 €")
        actions = (await ada("GET", f"/api/audit?target={made.data['id']}")).data
        assert [(a["action"], a["metadata"]["change"]) for a in actions] == [
            ("knowledge:written", "changed"),
            ("knowledge:written", "written"),
        ]
        assert (await ada("DELETE", note)).status == 204
        assert (await ada("GET", note)).status == 404
        assert (await ada("DELETE", note)).status == 404


async def test_bad_notes_and_foreign_ones_are_refused(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path) as harness:
        ada = await harness.person("ada@example.com")
        for body, name in (
            ({}, "title"),
            ({"title": "  "}, "title"),
            ({"title": "x", "compiledTruth": "a\x00b"}, "compiledTruth"),
            ({"title": "x", "tags": ["y"] * 51}, "tags"),
            ({"title": "x", "compiledTruth": "z" * 50_001}, "compiledTruth"),
        ):
            refused = await ada("POST", "/api/knowledge/pages", body)
            assert refused.status == 400, body
            assert any(name in path for path in refused.data["details"]["fieldErrors"]), refused.data
        made = (await ada("POST", "/api/knowledge/pages", {"title": "Mine"})).data
        mallory = await harness.person("mallory@example.com")
        for method, given in (("GET", None), ("PUT", {"title": "Hers"}), ("DELETE", None)):
            assert (await mallory(method, f"/api/knowledge/pages/{made['id']}", given)).status == 404
        assert (await mallory("GET", "/api/knowledge/search")).data == []
        # a member reads and does not write
        grace = await harness.member(ada, "grace@example.com", "member")
        assert [n["title"] for n in (await grace("GET", "/api/knowledge/search?q=mine")).data] == ["Mine"]
        assert (await grace("POST", "/api/knowledge/pages", {"title": "No"})).status == 403
