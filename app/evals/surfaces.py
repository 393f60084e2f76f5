"""Evaluations of what people touch: workspaces and roles, the chat, the Mini App; and the HELM sidecar."""

import asyncio
import re
import secrets
from typing import Any

from app.container import open_services
from app.evals.checks import Checks, NotRunError
from app.evals.place import Ground, Outside, Person, Place, listening, open_place, until

SECRET = "hushhush"  # noqa: S105 - the word that must not be seen from elsewhere
# somebody else's ids in these paths would end the session or the person that asks
OWN = ("/api/auth/", "/api/users/", "/api/admin/")


# --- tenancy --------------------------------------------------------------------------------------


async def tenancy(checks: Checks, ground: Ground) -> None:
    """Every route, asked by a stranger with another workspace's ids, shows and changes nothing; members may little."""
    async with open_place(ground) as place:
        owner, stranger = await place.person("owner"), await place.person("stranger")
        ids = await fill(owner)
        described = await owner.need("GET", "/api/openapi.json")
        await _reads(checks, described["paths"], owner, stranger, ids)
        await _writes(checks, described["paths"], owner, stranger, ids)
        await _member(checks, place, owner)


async def fill(owner: Person) -> dict[str, str]:
    """A workspace that holds the secret in many places; the ids of what it holds, by the noun in a route's path."""
    text = f'note.create title="{SECRET}"\nemail.send to=a@example.com subject="{SECRET}" body="{SECRET}"'
    task = await owner.run(text, title=SECRET)
    approval = await owner.pending(task)
    operator = await owner.need("POST", "/api/operators", {"name": SECRET, "role": "ops", "goal": SECRET})
    note = await owner.need("POST", "/api/knowledge/pages", {"title": SECRET, "compiledTruth": SECRET})
    # a server nobody can reach is kept all the same, with the reason
    address = f"https://{SECRET}.invalid/mcp"
    server = await owner.need("POST", "/api/mcp-servers", {"name": SECRET, "url": address})
    key = await owner.need("POST", "/api/auth/apikey", {"name": SECRET})
    await owner.need("PUT", f"/api/workspace/{owner.workspace}", {"name": SECRET})
    listed = await owner.need("GET", "/api/governance/receipts?kind=decision")
    return {
        "workspace": owner.workspace,
        "task": task,
        "run": str(approval["runId"]),
        "step": str(approval["stepId"]),
        "approval": approval["id"],
        "operator": operator["id"],
        "page": note["id"],
        "server": server["id"],
        "key": str(key.get("id", task)),
        "receipt": listed["receipts"][0]["id"],
    }


def _filled(path: str, ids: dict[str, str]) -> str:
    """A route's path with ids of the owner's in its places."""
    nouns = {"name": "receipt", "note": "page", "user": "workspace"}

    def one(match: re.Match[str]) -> str:
        noun = match[1].removesuffix("_id").removesuffix("Id")
        return ids.get(nouns.get(noun, noun), ids["task"])

    return re.sub(r"\{(\w+)\}", one, path)


def _streams(described: dict[str, Any]) -> bool:
    return "text/event-stream" in described["responses"].get("200", {}).get("content", {})


async def _reads(checks: Checks, paths: dict[str, Any], owner: Person, stranger: Person, ids: dict[str, str]) -> None:
    seen, shown, asked = 0, [], 0
    for path, methods in paths.items():
        if "get" not in methods or _streams(methods["get"]):
            continue
        filled = _filled(path, ids)
        status, body = await owner.ask("GET", filled)
        seen += status == 200 and SECRET in str(body)
        for workspace in (stranger.workspace, owner.workspace):
            _, body = await stranger.ask("GET", filled, X_Workspace_Id=workspace)
            asked += 1
            if SECRET in str(body):
                shown.append(path)
    checks.that("the owner sees the word that is looked for", seen >= 5, seen)
    checks.same("routes that show a stranger something", shown, [])
    checks.figures["reads"] = asked


async def _writes(checks: Checks, paths: dict[str, Any], owner: Person, stranger: Person, ids: dict[str, str]) -> None:
    before = await _state(owner, ids)
    let_in, asked = [], 0
    for path, methods in paths.items():
        for method in methods.keys() - {"get", "parameters"}:
            if "{" not in path or path.startswith(OWN):
                continue
            for workspace in (stranger.workspace, owner.workspace):
                status, _ = await stranger.ask(method.upper(), _filled(path, ids), {}, X_Workspace_Id=workspace)
                asked += 1
                if status < 400:
                    let_in.append(f"{method} {path}")
    checks.same("routes that let a stranger change something", let_in, [])
    checks.same("what the owner has afterwards", await _state(owner, ids), before)
    checks.figures["writes"] = asked


async def _state(owner: Person, ids: dict[str, str]) -> list[Any]:
    return [
        await owner.need("GET", path)
        for path in (
            f"/api/tasks/{ids['task']}",
            f"/api/audit/approvals/{ids['approval']}",
            f"/api/operators/{ids['operator']}",
            f"/api/knowledge/pages/{ids['page']}",
            f"/api/workspace/{owner.workspace}/settings",
        )
    ]


async def _member(checks: Checks, place: Place, owner: Person) -> None:
    invite = await owner.need("POST", f"/api/workspace/{owner.workspace}/invite", {"role": "member"})
    guest = await place.person("guest")
    await guest.need("POST", f"/api/auth/invite/{invite['inviteToken']}", {})
    guest.headers["X-Workspace-Id"] = owner.workspace
    status, _ = await guest.ask("GET", "/api/tasks")
    checks.same("a member reading tasks", status, 200)
    root = f"/api/workspace/{owner.workspace}"
    for what, method, path, body in (
        ("a member changing the policy", "PUT", f"{root}/settings", {"policyConfig": {"killSwitch": True}}),
        ("a member inviting", "POST", f"{root}/invite", {"role": "owner"}),
        ("a member making a task", "POST", "/api/tasks", {"title": "x"}),
        ("a member reading the audit log", "GET", "/api/audit", None),
        ("a member taking the receipts along", "GET", "/api/governance/archive", None),
    ):
        status, _ = await guest.ask(method, path, body)
        checks.same(what, status, 403)


# --- chat -----------------------------------------------------------------------------------------


async def chat(checks: Checks, ground: Ground) -> None:
    """A local Telegram and the real client: a task as a message, a card, one tap and a second one, the result."""
    from simulator.people import add_person
    from simulator.server import create_simulator
    from simulator.telegram import Telegram
    from simulator.updates import push

    telegram = Telegram()
    add_person(telegram, 1001, "Ada", username="ada", language_code="en")
    outside = Outside()
    async with outside.open(), listening(create_simulator(telegram)) as port:
        running = open_place(
            ground,
            telegram_bot_token=f"7000000001:{secrets.token_hex(17)}x",
            telegram_api_url=f"http://127.0.0.1:{port}",
            pilot_http_allow=outside.allowed,
        )
        async with running:
            await until(_true(lambda: any(bot.commands for bot in telegram.bots.values())), what="the bot")
            chat = Chat(telegram)
            chat.say("/start")
            await chat.message("Ada")
            chat.say(f'http.post url={outside.url} json={{"n": "chat"}}\nfinish summary="told in chat"')
            card = await chat.message("http.post", button="Approve")
            checks.same("posts before the tap", outside.arrived["chat"], 0)
            chat.press(card, "Approve")
            await chat.message("told in chat")
            await until(_true(lambda: "Approved by" in chat.text(card)), what="the card to say who decided")
            checks.same("posts after the tap", outside.arrived["chat"], 1)
            checks.that("the card has no buttons any more", not chat.buttons(card), chat.buttons(card))
            pressed = [answer for answer in telegram.answers if answer.get("text")]
            checks.that("the tap was answered", pressed, telegram.answers)
            push(telegram, telegram.which_bot(), {"callback_query": chat.pressed[0]}, copies=2)
            await asyncio.sleep(0.3)
            checks.same("posts after the same tap again", outside.arrived["chat"], 1)
            checks.figures["messages"] = len(chat.messages)


def _true(look: Any) -> Any:
    async def asked() -> Any:
        return look()

    return asked


class Chat:
    """Ada's chat with the bot in the local Telegram."""

    def __init__(self, telegram: Any) -> None:
        self._telegram = telegram
        self.pressed: list[dict[str, Any]] = []

    @property
    def messages(self) -> dict[int, dict[str, Any]]:
        """Everything that stands in it, by number."""
        found: dict[int, dict[str, Any]] = self._telegram.chat_for(1001, None, None).messages
        return found

    def say(self, text: str) -> None:
        """Ada types."""
        from simulator.people import say

        say(self._telegram, 1001, text)

    def press(self, number: int, label: str) -> None:
        """Ada taps."""
        from simulator.presses import press

        self.pressed.append(press(self._telegram, 1001, label, message_id=number))

    def text(self, number: int) -> str:
        """What a message says now."""
        return str(self.messages[number].get("text", ""))

    def buttons(self, number: int) -> list[str]:
        """The buttons of a message that tell the bot something."""
        rows = self.messages[number].get("reply_markup", {}).get("inline_keyboard", [])
        return [one["text"] for row in rows for one in row if one.get("callback_data")]

    async def message(self, text: str, *, button: str = "") -> int:
        """The number of the bot's message that says this, once it is there."""

        async def look() -> int:
            for number, message in sorted(self.messages.items(), reverse=True):
                said = message["from"].get("is_bot") and text in str(message.get("text", ""))
                if said and (not button or button in self.buttons(number)):
                    return number
            return 0

        return await until(look, what=f"a message with {text!r}")


# --- Mini App -------------------------------------------------------------------------------------

_OUTSIDE = re.compile(r"""(?:src|href|action|srcset|data-\w+)\s*=\s*["']?\s*(?:https?:)?//(?!t\.me/)""", re.IGNORECASE)
_INLINE = re.compile(
    r"""<script(?![^>]*(?:\bsrc=|type="application/json"))|<style\b|\son\w+\s*=|\sstyle\s*=|javascript:""",
    re.IGNORECASE,
)


async def mini_app(checks: Checks, ground: Ground) -> None:
    """Every page and part answers whoever may see it, under a policy that lets nothing in from elsewhere."""
    from webapp.fragments import FRAGMENTS

    async with open_place(ground) as place:
        owner = await place.person("owner")
        ids = await fill(owner)
        items = {
            **{name: ids[name] for name in ("task", "approval", "operator", "receipt")},
            "note": ids["page"],
            "receipt-check": ids["receipt"],
            "tool-server": ids["server"],
        }
        shell = await _page(checks, owner, "/app/")
        for name in re.findall(r"""/app/static/[^"'\s>]+""", shell):
            status, body = await owner.ask("GET", name)
            checks.that(f"{name.rpartition('/')[2]} is there", status == 200 and body, status)
        for name in FRAGMENTS:
            path = f"/app/parts/{name}" + (f"/{items[name]}" if name in items else "")
            text = await _page(checks, owner, path)
            nobody, _ = await place.somebody().ask("GET", path)
            checks.that(f"{name} is not for everybody", nobody in (401, 403), nobody)
            if name in items and name not in ("receipt", "receipt-check"):
                checks.that(f"{name} shows what it is of", SECRET in text)
        checks.figures["pages"] = len(FRAGMENTS) + 1


async def _page(checks: Checks, owner: Person, path: str) -> str:
    name = path.removeprefix("/app/").removeprefix("parts/").partition("/")[0] or "the shell"
    async with owner.http.get(owner.base + path, headers=owner.headers) as answer:
        text = await answer.text()
        policy = answer.headers.get("Content-Security-Policy", "")
        checks.same(f"{name} answers", answer.status, 200)
    strict = "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    checks.that(f"{name} has its policy", strict, policy)
    checks.same(f"{name} has no outside address", _OUTSIDE.findall(text), [])
    checks.same(f"{name} has nothing inline", _INLINE.findall(text), [])
    return text


# --- sidecar --------------------------------------------------------------------------------------


async def sidecar(checks: Checks, ground: Ground) -> None:
    """The configured HELM sidecar answers. Its address is the installation's; nothing is written there or here."""
    if not ground.installed.helm_governance_url:
        raise NotRunError("no HELM sidecar is configured")
    given = {name: value for name, value in ground.installed if name.startswith("helm_")}
    async with open_services(ground.settings(**given)) as parts:
        probe = parts.services.health.helm
        if probe is None:
            raise NotRunError("this version does not ask the configured HELM sidecar")
        answer = await probe()
        checks.that("the sidecar answers", answer["ok"], answer)
        checks.that("a second opinion is asked", parts.services.policy_service.second_opinion is not None)
        checks.figures["latencyMs"] = answer.get("latencyMs")
