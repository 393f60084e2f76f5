"""The document of the first version is still true: what differs from it is in this list, with its reason.

New routes, and the schemas that only they use, are no difference. The order of names and of lists of words is none either.
"""

import gzip
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from api.docs import OPENAPI
from api.middlewares import HttpConfig
from api.server import Gate, create_app

FIRST = Path(__file__).parent.parent / "vectors" / "openapi_first.json.gz"
# what was added (+), changed (~) or taken away (-), by its place in the document; why
AGREED: dict[str, str] = {
    # where the installation is, and an example of every body and answer
    "+ /servers": "the address of the installation",
    "+ /paths/*/requestBody/content/*/example": "an example of each body",
    "+ /paths/*/responses/*/content/*/example": "an example of each answer",
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
    if isinstance(first, dict) and isinstance(now, dict):
        places = {name: f"{place}/{str(name).replace('/', '|')}" for name in first.keys() | now.keys()}
        yield from (f"- {places[name]}" for name in first.keys() - now.keys())
        yield from (f"+ {places[name]}" for name in now.keys() - first.keys())
        for name in first.keys() & now.keys():
            yield from differences(first[name], now[name], places[name])
    elif isinstance(first, list) and isinstance(now, list):
        if len(first) == len(now) and any(isinstance(one, dict) for one in first):
            for index, (one, other) in enumerate(zip(first, now, strict=True)):
                yield from differences(one, other, f"{place}/{index}")
        elif sorted(map(str, first)) != sorted(map(str, now)):
            yield f"~ {place}"
    elif first != now:
        yield f"~ {place}"


def is_new(difference: str) -> bool:
    """Whether it is a whole route or schema that was not there."""
    # a path's own slashes are written as |
    return difference.startswith(("+ /paths/", "+ /components/schemas/")) and (
        len(difference.split("/")) == {"paths": 3, "components": 4}[difference.split("/")[1]]
    )


def test_the_document_is_that_of_the_first_version_but_for_what_is_listed() -> None:
    first = json.loads(gzip.decompress(FIRST.read_bytes()))
    app = create_app(Gate(), HttpConfig(version=first["info"]["version"], app_url="http://x"))
    found = {one for one in differences(first, app[OPENAPI], "") if not is_new(one)}
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


def test_a_difference_is_found_wherever_it_is() -> None:
    first = {"a": {"b": [{"c": 1}, {"d": 2}], "e": ["x", "y"]}, "f": 1}
    now = {"a": {"b": [{"c": 1}, {"d": 3}], "e": ["y", "x", "z"], "g": 0}}
    assert sorted(differences(first, now, "")) == ["+ /a/g", "- /f", "~ /a/b/1/d", "~ /a/e"]
