"""The graph of a task's proofs: what was asked, decided, approved, done, and how it ended, one leading to the next."""

import itertools
from typing import Any

from tests.api.harness import Harness, Person
from tests.api.policy.test_governance import at_rest, path_of

STEPS = 'note.create title="x"\nemail.send to=a@example.com subject="s" body="b"\nfinish summary="done"'


async def finished(owner: Person) -> str:
    """A task whose mail a person approved."""
    task = (await owner("POST", "/api/tasks", {"title": "T", "description": STEPS})).data
    await owner("POST", f"/api/tasks/{task['id']}/run?wait=30")
    [approval] = (await owner("GET", f"/api/audit/approvals?taskId={task['id']}")).data
    assert (await owner("PUT", path_of(approval), {"status": "approved"})).status == 200
    await at_rest(owner, task["id"])
    return str(task["id"])


async def test_an_approved_effect_is_one_chain(owner: Person) -> None:
    task_id = await finished(owner)
    graph = (await owner("GET", f"/api/governance/proofgraph/{task_id}")).data
    nodes: dict[str, Any] = {node["id"]: node for node in graph["nodes"]}
    parents = {edge["to"]: edge["from"] for edge in graph["edges"]}
    assert len(parents) == len(nodes) - 1
    mail = [n for n in graph["nodes"] if n["tool"] == "email.send"]
    assert [(n["kind"], n["verdict"]) for n in mail] == [
        ("decision", "ESCALATE"),
        ("request", "ESCALATE"),
        ("resolution", "ALLOW"),
        ("decision", "ALLOW"),
        ("outcome", "ALLOW"),
    ]
    for before, after in itertools.pairwise(mail):
        assert parents[after["id"]] == before["id"]
    # from the end back to where it began
    at, chain = graph["nodes"][-1]["id"], []
    while at is not None:
        chain.append(nodes[at]["action"])
        at = parents.get(at)
    assert (chain[0], chain[-1]) == ("run:finished", "task:created")
    for node in graph["nodes"]:
        receipt = (await owner("GET", f"/api/governance/receipts/{node['id']}")).data["receipt"]
        assert (receipt["decisionHash"], receipt["logIndex"]) == (node["hash"], node["index"])


async def test_a_task_that_is_not_here_is_not_found(harness: Harness, owner: Person) -> None:
    task = (await owner("POST", "/api/tasks", {"title": "T"})).data
    stranger = await harness.person("eve@example.com")
    for who, task_id in ((stranger, task["id"]), (owner, "01990000-0000-7000-8000-000000000000")):
        for place in (f"proofgraph/{task_id}", f"archive?taskId={task_id}"):
            assert (await who("GET", f"/api/governance/{place}")).status == 404
    assert len((await owner("GET", f"/api/governance/proofgraph/{task['id']}")).data["nodes"]) == 1
