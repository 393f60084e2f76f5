"""Updates made from the Bot API's published schema, and beyond it. The same seed makes the same updates."""

import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parent.parent / "vectors" / "bot_api.json"
PERSON = {"id": 7, "is_bot": False, "first_name": "Ada"}
CHAT = {"id": 7, "type": "private"}
MESSAGE = {"message_id": 1, "date": 1, "chat": CHAT, "from": PERSON, "text": "/help"}
USED = ("message", "callback_query", "my_chat_member")
HOSTILE = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\u202e\u200d\ufeff",
    "😀" * 200,
    "'; DROP TABLE inbox; --",
    "{{steps.1.title}}",
    '"update_id":1,"message":{',
    "]},{[",
    "\\",
    "<b>&amp;</b>",
    "/start inv_" + "x" * 300,
    "/start apr_\0",
    "/task",
    "/receipt \0",
    "/run ffffffff",
    "/away until 99999-99-99",
    "/policy block \0",
    "/nosuchcommand@pilot_bot",
    "a:AAAAAAAAAAAAAAAAAAAAAA:y:1:aaaaaaaaaaaa",
    "a:💥:y:９:zzzzzzzzzzzz",
    "g:" + "A" * 22,
    "p:from:E9",
    "w:",
    "u:::",
)
NUMBERS = (0, 1, -1, 7, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, 2**63, 10**400, -(10**30))
OTHER_TYPES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1.5,
    -7,
    "text",
    "",
    [],
    {},
    [[]],
    [{}],
    {"id": {}},
    ["7"],
    {"0": None},
)


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


class Maker:
    """Makes values of the schema's types, then spoils them."""

    def __init__(self, seed: int, *, people: range = range(5_000, 5_400)) -> None:
        self.random = random.Random(seed)
        self.people = people

    # --- by the schema

    def value(self, kind: str, depth: int = 0) -> Any:
        """A value of a type of the schema; optional fields get rare with depth."""
        rng = self.random
        if kind.startswith("="):
            return kind[1:]
        if kind.startswith("Array of "):
            inner = kind.removeprefix("Array of ")
            return [self.value(inner, depth + 1) for _ in range(rng.randint(0, 2 if depth < 6 else 0))]
        plain = {
            "Integer": lambda: rng.randint(-5, 2**40),
            "Float": lambda: rng.uniform(-1e6, 1e6),
            "String": lambda: "".join(rng.choices("abc /@:😀é\n", k=rng.randint(0, 30))),
            "Boolean": lambda: rng.random() < 0.5,
            "True": lambda: True,
        }.get(kind)
        if plain is not None:
            return plain()
        union = schema()["unions"].get(kind)
        if union is not None:
            if depth > 8 and "String" in union:
                return "leaf"
            if rng.random() < 0.03:
                return {"type": "hologram", "status": "hologram", "source": "hologram", "depth": {"of": ["field"]}}
            return self.value(rng.choice(union), depth + 1)
        if kind == "User":
            return self.person()
        return self.fields(kind, depth)

    def fields(self, kind: str, depth: int) -> dict[str, Any]:
        known = schema()["types"][kind]
        needed = [name for name, wanted in known.items() if wanted.startswith("!")]
        others = [name for name in known if name not in needed]
        more = self.random.sample(others, min(len(others), self.random.randint(0, (5, 5, 2, 2, 1, 1)[min(depth, 5)])))
        return {
            name: self.value(known[name].lstrip("!"), depth + 1) for name in (*needed, *(more if depth < 7 else ()))
        }

    def person(self) -> dict[str, Any]:
        rng = self.random
        more = {"last_name": "L", "username": "u", "language_code": rng.choice(("en", "ru", "pt-br", "xx"))}
        kept = {name: value for name, value in more.items() if rng.random() < 0.5}
        return {"id": rng.choice(self.people), "is_bot": rng.random() < 0.05, "first_name": "P", **kept}

    def chat(self, person: int) -> dict[str, Any]:
        if self.random.random() < 0.8:
            return {"id": person, "type": "private", "first_name": "P"}
        return {"id": -self.random.choice(self.people), "type": "supergroup", "title": "G"}

    def update(self, number: int) -> dict[str, Any]:
        """An update as the schema has it; a third of them of the kinds that Pilot handles."""
        rng = self.random
        kinds = [kind for kind in schema()["types"]["Update"] if kind != "update_id"]
        kind = rng.choice(USED) if rng.random() < 0.35 else rng.choice(kinds)
        body = self.value(schema()["types"]["Update"][kind].lstrip("!"), 1)
        if isinstance(body, dict):
            person = self.person()
            if "from" in body or kind in USED:
                body["from"] = person
            if "chat" in body:
                body["chat"] = self.chat(person["id"])
            if kind == "message" and rng.random() < 0.7:
                body["text"] = rng.choice(("/help", "/start", "/tasks", "hello", *HOSTILE))
            if kind == "callback_query" and rng.random() < 0.7:
                body["data"] = rng.choice(HOSTILE)
        return {"update_id": number, kind: body}

    # --- beyond it

    def spoil(self, update: dict[str, Any]) -> dict[str, Any]:
        """The update with something in it that no schema has, anywhere."""
        rng = self.random
        places = list(_places(update))
        holder, name = rng.choice(places)
        what = rng.randrange(8)
        if what == 0:
            del holder[name]
        elif what == 1:
            # a copy: what is changed further must not change the values themselves
            holder[name] = copy.deepcopy(rng.choice(OTHER_TYPES))
        elif what == 2:
            holder[name] = rng.choice(NUMBERS)
        elif what == 3:
            holder[name] = rng.choice(HOSTILE)
        elif what == 4:
            holder[name] = "x" * rng.choice((5_000, 70_000, 200_000)) if rng.random() < 0.1 else "x" * 4097
        elif what == 5:
            holder[name] = nested(rng.choice(("[", "{")), rng.choice((3, 16, 90, 150)))
        elif what == 6 and isinstance(holder, dict):
            holder["future_field"] = {"message": "thanks", "chat": {"id": 7}, "type": ["x"]}
        else:
            holder[name] = {"future_kind": {"message": "thanks"}, "type": "future", "was": holder[name]}
        return update

    def raw(self, number: int) -> bytes:
        """The bytes of one update: as the schema has it, spoilt, or no update at all."""
        rng = self.random
        update = self.update(number)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
            update = self.spoil(update)
            if not update:
                break
        if rng.random() < 0.03:
            update["future_kind"] = {"message": "thanks"}
        update.setdefault("update_id", number) if rng.random() < 0.9 else None
        body = json.dumps(update, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
        return self.damage(body) if rng.random() < 0.06 else body

    def damage(self, body: bytes) -> bytes:
        """Bytes that are no JSON, or not the JSON they were. Brackets and quotes stay in pairs."""
        rng = self.random
        return rng.choice(
            (
                body.replace(b":", b': NaN, "n":', 1),
                body.replace(b"a", b"\xff\xfe"),
                body.replace(b"e", b"\xed\xa0\x80", 3),
                b"{}",
                b"[]",
                b"null",
                b"5",
                b'"update_id"',
                b'{"update_id":"5"}',
                b'{"update_id":true,"message":{}}',
                b'{"update_id":1e3}',
                body.replace(b"{", b'{"update_id":-5,', 1),
                body.replace(b"true", b"tru").replace(b"null", b"nul").replace(b"{", b"{,", 1),
                b"  \t\r\n" + body + b"\n",
            )
        )


def _places(value: Any) -> Any:
    """(holder, name) of every value inside."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        names = list(holder) if isinstance(holder, dict) else range(len(holder))
        for name in names:
            yield holder, name
            if isinstance(holder[name], dict | list):
                waiting.append(holder[name])


def nested(sign: str, depth: int) -> Any:
    """Arrays or objects in each other."""
    value: Any = "core"
    for _ in range(depth):
        value = [value] if sign == "[" else {"chat": value}
    return value


def rich(depth: int, *, width: int = 1) -> dict[str, Any]:
    """A rich message of quotations in quotations, as the Bot API has them."""
    block: dict[str, Any] = {"type": "paragraph", "text": "core"}
    for _ in range(depth):
        block = {"type": "blockquote", "blocks": [block] * width}
    return {"blocks": [block]}


def replies(depth: int) -> dict[str, Any]:
    message: dict[str, Any] = {**MESSAGE}
    for _ in range(depth):
        message = {**MESSAGE, "reply_to_message": message}
    return message


def deep(depth: int) -> Iterator[dict[str, Any]]:
    """Fields of a message that hold themselves so deep, or are wide, of each kind of the schema that can."""
    yield {"rich_message": rich(depth)}
    yield {"rich_message": rich(min(depth, 5), width=5)}
    yield {"pinned_message": replies(depth)}
    yield {"external_reply": {"origin": {"type": "chat", "sender_chat": CHAT}, "story": nested("{", depth)}}
    yield {"reply_to_message": {**MESSAGE, "rich_message": rich(depth), "reply_to_message": replies(depth)}}
    yield {"reply_markup": {"inline_keyboard": [[{"text": "x", "url": "https://x.example"}] * 8] * 12}}
    yield {"checklist": {"tasks": [{"id": 1, "text": "x", "completed_by_user": PERSON}] * 500}}
