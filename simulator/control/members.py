"""Who is there: people, bots, groups with their members and topics."""

from aiohttp import web

from simulator.botapi import TELEGRAM
from simulator.bots import register_bot
from simulator.control.request import given_object, number
from simulator.control.views import chat_view
from simulator.errors import WrongRequest
from simulator.groups import add_group, upgrade
from simulator.members import join, leave
from simulator.people import add_person, block, deactivate, unblock
from simulator.topics import open_topic


async def _reset(request: web.Request) -> web.Response:
    request.app[TELEGRAM].reset()
    return web.json_response({"ok": True})


async def _add_user(request: web.Request) -> web.Response:
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    user_id = int(given.pop("id", 0)) or max([1000, *telegram.people]) + 1
    return web.json_response(add_person(telegram, user_id, str(given.pop("first_name", "")), **given))


async def _add_bot(request: web.Request) -> web.Response:
    given = await given_object(request)
    bot = register_bot(
        request.app[TELEGRAM],
        str(given["token"]),
        username=str(given.get("username", "")),
        first_name=str(given.get("first_name", "")),
        privacy=bool(given.get("privacy", True)),
        app_url=str(given.get("app", "")),
        topics=bool(given.get("topics", False)),
    )
    return web.json_response(bot.user)


async def _add_group(request: web.Request) -> web.Response:
    """`{title, members, bots?, owner?, forum?, basic?}`: a supergroup, with topics, or a group of the old kind."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    chat = add_group(
        telegram,
        str(given["title"]),
        [int(m) for m in given["members"]],
        bots=given.get("bots"),
        owner=given.get("owner"),
        forum=bool(given.get("forum", False)),
        basic=bool(given.get("basic", False)),
    )
    return web.json_response(chat_view(telegram, chat))


async def _add_topic(request: web.Request) -> web.Response:
    """`{user, name, chat?, bot?}`: a person opens a topic; `{message_thread_id, name, icon_color}`."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    user_id = int(given["user"])
    chat = telegram.chat_for(user_id, number(given.get("chat")), given.get("bot"))
    return web.json_response(open_topic(telegram, chat, str(given["name"]), telegram.person(user_id)))


async def _upgrade(request: web.Request) -> web.Response:
    """`{chat}`: a group becomes a supergroup; the new chat."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    return web.json_response(chat_view(telegram, upgrade(telegram, int(given["chat"]))))


async def _members(request: web.Request) -> web.Response:
    """`{chat, user, action}`: join, leave, kick, promote or demote; `by` names who does it. `user` may be a bot."""
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    chat_id, who, by = int(given["chat"]), given["user"], number(given.get("by"))
    user_id = int(who) if str(who).isdigit() else telegram.which_bot(who).id
    action = given["action"]
    if action in ("join", "promote", "demote"):
        join(telegram, chat_id, user_id, status="administrator" if action == "promote" else "member", by=by)
    elif action in ("leave", "kick"):
        leave(telegram, chat_id, user_id, kicked=action == "kick", by=by)
    else:
        raise WrongRequest("action must be join, leave, kick, promote or demote")
    return web.json_response(chat_view(telegram, telegram.groups[chat_id]))


async def _deactivate(request: web.Request) -> web.Response:
    """`{user}`: a person deletes the account."""
    given = await given_object(request)
    deactivate(request.app[TELEGRAM], int(given["user"]))
    return web.json_response({"ok": True})


async def _block(request: web.Request) -> web.Response:
    """`{user, bot?, blocked?}`."""
    given = await given_object(request)
    change = block if given.get("blocked", True) else unblock
    change(request.app[TELEGRAM], int(given["user"]), given.get("bot"))
    return web.json_response({"ok": True})


ROUTES = (
    ("POST", "/sim/reset", _reset),
    ("POST", "/sim/users", _add_user),
    ("POST", "/sim/bots", _add_bot),
    ("POST", "/sim/groups", _add_group),
    ("POST", "/sim/members", _members),
    ("POST", "/sim/topics", _add_topic),
    ("POST", "/sim/upgrade", _upgrade),
    ("POST", "/sim/deactivate", _deactivate),
    ("POST", "/sim/block", _block),
)
