"""The document of the first version is still true: what differs from it is in this list, with its reason.

Other words are no difference, nor is what a client of then need not know of: new routes and schemas, new fields of
answers, new fields of bodies that may be left out, new codes of refusals. The order of things is none either.
"""

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from api.config import HttpConfig
from api.docs import OPENAPI
from api.server import ServiceHolder, create_app

FIRST = Path(__file__).parent.parent / "vectors" / "openapi_first.json.gz"
# what was added (+), changed (~) or taken away (-), by its place in the document; why
AGREED: dict[str, str] = {
    # where the installation is, and an example of every body and answer
    "+ /servers": "the address of the installation",
    "+ /paths/*/requestBody/content/*/example": "an example of each body",
    "+ /paths/*/responses/*/content/*/example": "an example of each answer",
    "+ /paths/|api|audit|export/get/responses/200/content/text|csv": "the table that `format=csv` asks for",
    # what an endpoint checks in words of its own was `{}` in the document; now the type is there
    "+ /components/schemas/*/required": "needed, and refused without",
    "- /components/schemas/*/properties/*/default": "a default that was refused",
    "+ /components/schemas/*/properties/*/type": "text",
    "+ /components/schemas/*/properties/*/anyOf": "text or nothing",
    "+ /components/schemas/*/properties/*/enum": "one of these words",
    "+ /paths/*/parameters/*/schema/enum": "one of these words",
    "+ /paths/*/parameters/*/schema/anyOf/0/enum": "one of these words",
    "~ /paths/*/requestBody/required": "a body without which the answer was always 400",
    # settings say what is in them
    "~ /paths/|api|workspace|{workspace_id}|settings/put/requestBody/content/application|json/schema/$ref": "settings",
    "~ /paths/|api|governance|policy-test/post/requestBody/content/application|json/schema/$ref": "settings",
    "- /components/schemas/LooseBody": "it stood for settings",
}
# every field whose type was not said before, by its schema
SAID = {
    "AcceptInvite": {"email", "code"},
    "BatchItem": {"status"},
    "EmailRequest": {"email"},
    "EmailVerify": {"email", "code"},
    "ModeBody": {"mode"},
    "NewInvite": {"role"},
    "OperatorBody": {"role"},
    "ResolveBody": {"status"},
    "RunBody": {"context"},
    "StatusBody": {"status"},
    "TelegramLogin": {"initData"},
}
NEEDED = {"EmailRequest", "EmailVerify", "ModeBody", "ResolveBody", "StatusBody"}


def differences(first: Any, now: Any, place: str) -> Iterator[str]:
    """Where two documents differ."""
    if place.endswith(("/summary", "/description")):
        return
    first, now = _by_name(first), _by_name(now)
    if isinstance(first, dict) and isinstance(now, dict):
        places = {name: f"{place}/{str(name).replace('/', '|')}" for name in first.keys() | now.keys()}
        yield from (f"- {places[name]}" for name in first.keys() - now.keys())
        yield from (f"+ {places[name]}" for name in now.keys() - first.keys())
        for name in first.keys() & now.keys():
            yield from differences(first[name], now[name], places[name])
    elif first != now:
        yield f"~ {place}"


def _by_name(value: Any) -> Any:
    """A list as what is in it by name: its words, its parameters, or its items by place."""
    if not isinstance(value, list):
        return value
    if all(isinstance(item, dict) and "in" in item for item in value):
        return {f"{item['in']}:{item['name']}": item for item in value}
    if all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, True)
    return dict(enumerate(value))


def is_addition(difference: str, taken: set[str]) -> bool:
    """Whether it is something that a client of then need not know of. `taken`: the schemas of bodies."""
    added = re.fullmatch(r"\+ /paths/[^/]+(/[^/]+|/[^/]+/responses/[45]\d\d)?", difference)
    schema = re.fullmatch(r"\+ /components/(?:schemas|headers)/(\w[\w-]*)(/(?:properties|required)/\w+)?", difference)
    if schema is not None and "/required/" in difference:
        return schema[1] not in taken
    parameter = re.fullmatch(r"\+ /paths/[^/]+/\w+/parameters/(?:query|header):[\w-]+", difference)
    return (added or schema or parameter or re.fullmatch(r"\+ /tags/\d+", difference)) is not None


def schemas_of_bodies(document: dict[str, Any]) -> set[str]:
    """The names of schemas that a request may hold."""
    left = [
        operation["requestBody"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    found: set[str] = set()
    while left:
        for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(left.pop())):
            if name not in found:
                found.add(name)
                left.append(document["components"]["schemas"][name])
    return found


def test_the_document_is_that_of_the_first_version_but_for_what_is_listed() -> None:
    first = json.loads(gzip.decompress(FIRST.read_bytes()))
    app = create_app(ServiceHolder(), HttpConfig(version=first["info"]["version"], app_url="http://x"))
    taken = schemas_of_bodies(app[OPENAPI])
    found = {one for one in differences(first, app[OPENAPI], "") if not is_addition(one, taken)}
    unlisted = sorted(one for one in found if not any(fnmatchcase(one, agreed) for agreed in AGREED))
    assert unlisted == []
    spare = [agreed for agreed in AGREED if not any(fnmatchcase(one, agreed) for one in found)]
    assert spare == []
    fields = re.compile(r"[+-] /components/schemas/(\w+)/properties/(\w+)/(?:type|enum|anyOf|default)")
    assert {match.groups() for one in found if (match := fields.fullmatch(one))} == {
        (schema, field) for schema, names in SAID.items() for field in names
    }
    needed = re.compile(r"\+ /components/schemas/(\w+)/required")
    assert {match[1] for one in found if (match := needed.fullmatch(one))} == NEEDED


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d["components"]["schemas"]["TaskOut"]["properties"].pop("title"), True),
        (lambda d: d["components"]["schemas"]["TaskOut"]["required"].remove("title"), True),
        (lambda d: d["components"]["schemas"]["TaskOut"]["properties"]["title"].update(type="integer"), True),
        (lambda d: d["components"]["schemas"]["TaskBody"]["required"].append("mode"), True),
        (lambda d: d["components"]["schemas"]["TaskBody"]["properties"]["title"].update(maxLength=5), True),
        (lambda d: d["components"]["schemas"].pop("TaskOut"), True),
        (lambda d: d["paths"].pop("/api/tasks"), True),
        (lambda d: d["paths"]["/api/tasks"]["get"]["parameters"].pop(0), True),
        (lambda d: d["paths"]["/api/tasks"]["get"]["responses"]["200"].pop("content"), True),
        (lambda d: d["paths"]["/api/tasks"]["post"]["security"].clear(), True),
        (lambda d: d["components"]["schemas"]["TaskOut"]["properties"].update(new={"type": "string"}), False),
        (lambda d: d["components"]["schemas"]["TaskOut"]["required"].append("new"), False),
        (lambda d: d["components"]["schemas"]["TaskBody"]["properties"].update(new={"type": "string"}), False),
        (lambda d: d["components"]["schemas"].update(New={}), False),
        (lambda d: d["paths"].update({"/api/new": {}}), False),
        (lambda d: d["paths"]["/api/tasks"].update(patch={}), False),
        (lambda d: d["paths"]["/api/tasks"]["get"].update(summary="Other words."), False),
        (lambda d: d["paths"]["/api/tasks"]["get"]["responses"].update({"410": {}}), False),
        (lambda d: d["paths"]["/api/tasks"]["get"]["parameters"].reverse(), False),
    ],
)
def test_what_counts_as_a_difference(change: Callable[[dict[str, Any]], object], found: bool) -> None:
    first = json.loads(gzip.decompress(FIRST.read_bytes()))
    now = copy.deepcopy(first)
    change(now)
    taken = schemas_of_bodies(now)
    assert any(not is_addition(one, taken) for one in differences(first, now, "")) is found
