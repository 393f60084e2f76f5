"""Which planner a workspace gets."""

from typing import Any

import pytest

from connectors.guard import Guard
from connectors.models.factory import PlannerFactory, is_local
from connectors.models.offline import OfflinePlanner
from domain.outside import ExternalError
from domain.ports import PlanRequest
from tests.connectors.models.some_tools import TOOLS
from tests.connectors.openai_server import call, scripted_model

ROUTER = {"provider": "openrouter", "model": "anthropic/claude-sonnet-4", "temperature": 0.7}


def chain(config: dict[str, Any], key: str | None = None, **more: Any) -> list[tuple[str, str, str]]:
    factory = PlannerFactory(**more)
    return [(str(c), c.base_url, c.api_key) for c in factory.chain(config, key)]


def test_without_key_or_model_there_is_none() -> None:
    assert chain(ROUTER) == []
    assert isinstance(PlannerFactory()("w", ROUTER, None), OfflinePlanner)
    assert chain({}, keys={"openai": "k"}) == []


def test_keys_of_workspace_and_installation() -> None:
    url = "https://openrouter.ai/api/v1"
    name = "openrouter:anthropic/claude-sonnet-4"
    assert chain(ROUTER, keys={"openrouter": "inst"}) == [(name, url, "inst")]
    assert chain(ROUTER, "own", keys={"openrouter": "inst"}) == [(name, url, "own")]
    assert chain(ROUTER, "own") == [(name, url, "own")]


@pytest.mark.parametrize(
    ("config", "key", "more", "paid"),
    [
        (ROUTER, None, {"keys": {"openrouter": "inst"}}, [True]),
        (ROUTER, "own", {"keys": {"openrouter": "inst"}}, [False]),
        (ROUTER | {"fallbacks": ["openai:gpt-4o"]}, "own", {"keys": {"openai": "oa"}}, [False, True]),
        (ROUTER, "own", {"keys": {"openai": "oa"}, "default_model": "openai:gpt-4o"}, [False, True]),
        # of two names for one model the workspace's own comes first, and is the only one
        (ROUTER, "own", {"keys": {"openrouter": "inst"}, "default_model": ROUTER["model"]}, [False]),
        (ROUTER | {"baseUrl": "https://llm.example"}, None, {"keys": {"openrouter": "inst"}}, [False]),
        (ROUTER | {"provider": "ollama"}, None, {"ollama_base_url": "http://127.0.0.1:1"}, [False]),
        (ROUTER | {"provider": "openai"}, None, {"openai_base_url": "http://10.0.0.1:1"}, [False]),
        (ROUTER | {"provider": "openai"}, None, {"openai_base_url": "https://llm.example"}, [True]),
    ],
)
def test_who_pays_for_a_model(config: dict[str, Any], key: str | None, more: dict[str, Any], paid: list[bool]) -> None:
    assert [choice.paid_by_installation for choice in PlannerFactory(**more).chain(config, key)] == paid


def test_fallbacks_and_the_default() -> None:
    config = ROUTER | {"fallbacks": ["anthropic:claude-haiku-4-5", "openai:gpt-4o", "ollama:llama3:8b", "other/model"]}
    found = chain(
        config, "own", keys={"openai": "oa"}, ollama_base_url="http://127.0.0.1:11434/", default_model="ollama:qwen3"
    )
    assert [(name, key) for name, _, key in found] == [
        ("openrouter:anthropic/claude-sonnet-4", "own"),
        ("openai:gpt-4o", "oa"),
        ("ollama:llama3:8b", ""),
        ("openrouter:other/model", "own"),
        ("ollama:qwen3", ""),
    ]
    assert found[2][1] == "http://127.0.0.1:11434/v1"


def test_the_default_without_a_provider_takes_the_first_usable() -> None:
    assert chain({}, default_model="llama3:8b", ollama_base_url="http://h:1")[0][0] == "ollama:llama3:8b"


def test_an_address_of_a_workspace_never_gets_a_key_of_the_installation() -> None:
    config = {"provider": "openai", "model": "m", "baseUrl": "https://models.example/v1"}
    factory = PlannerFactory(keys={"openai": "inst"}, openai_base_url="http://trusted:1/v1")
    found = factory.chain(config, None)
    assert [(c.base_url, c.api_key, c.guarded) for c in found] == [("https://models.example/v1", "", True)]


def test_a_key_of_a_workspace_never_goes_to_an_address_of_the_installation() -> None:
    found = chain({"provider": "openai", "model": "m"}, "own", openai_base_url="http://trusted:1/v1")
    assert found == [("openai:m", "https://api.openai.com/v1", "own")]


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://localhost:1/v1", True), ("http://127.0.0.1/v1", True), ("http://ollama:11434", True),
     ("http://10.0.0.5/v1", True), ("http://gpu.internal/v1", True), ("https://api.example.com/v1", False), ("http://8.8.8.8/", False)],
)  # fmt: skip
def test_local_addresses(url: str, local: bool) -> None:
    assert is_local(url) is local


def request(text: str) -> PlanRequest:
    return PlanRequest(task_title="T", task_description=text, operator={}, tools=TOOLS, history=None, results=())


async def test_a_model_of_the_installation_is_really_asked() -> None:
    async with scripted_model([call("finish", summary="x")]) as server:
        factory = PlannerFactory(keys={"openai": "k"}, openai_base_url=server.base_url, default_model="openai:tiny")
        await factory.warm()
        planner = factory("w", {"temperature": 0.1}, None)
        answer = await planner.next(request("Find customers"))
        assert answer.call is not None
        assert answer.usage.cost_micros == 0
        assert (server.requests[0]["model"], server.requests[0]["temperature"]) == ("tiny", 0.1)
        playbook = await planner.next(request("1. http.get url=https://example.com"))
        assert playbook.call is not None
        assert playbook.call.tool == "http.get"
        assert len(server.requests) == 1
        await factory.aclose()


async def test_an_inner_address_of_a_workspace_is_refused() -> None:
    async with scripted_model([call("finish", summary="x")]) as server:
        config = {"provider": "openai", "model": "m", "baseUrl": server.base_url}
        factory = PlannerFactory(guard=Guard())
        with pytest.raises(ExternalError) as caught:
            await factory("w", config, "own").next(request("Find customers"))
        await factory.aclose()
    assert caught.value.code == "blocked_address"
    assert server.requests == []
