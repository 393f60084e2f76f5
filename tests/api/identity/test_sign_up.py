"""Who may sign up over HTTP: by mail, by the Mini App's launch data and by Telegram Login, on both stores.

A stranger who is turned away leaves nothing behind in any table.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.identity.sign_up import SignUpMode, SignUpRule, allow_list
from domain.outbox.notifications import LoginCodeNotice, notice_of
from services.identity.sign_up import SignUp
from simulator.launch import signed, user_field
from storage import tables
from storage.identity import sign_up_rows
from tests.api.conftest import TOKEN
from tests.api.harness import Harness, Person, Reply, open_house
from tests.api.issuer import CLIENT, SECRET, Issuer, open_issuer

ADMINISTRATOR = "0123456789" * 4
DOORS = ("mail", "launch data", "telegram login")
MODES = tuple(SignUpMode)
CLOSED = (SignUpMode.FIRST, SignUpMode.INVITE)
# what every network leaves, whoever is behind it
TRANSPORT = {"rate_buckets"}
_numbers = count(1)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as opened:
        yield opened


def settings(issuer: Issuer, **more: Any) -> dict[str, Any]:
    return {
        "telegram_bot_token": TOKEN,
        "telegram_login_client_id": CLIENT,
        "telegram_login_client_secret": SECRET,
        "telegram_login_issuer": issuer.url,
        **more,
    }


@pytest.fixture
async def harness(url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Harness]:
    http = {"admin_key": ADMINISTRATOR}
    async with open_house(url, tmp_path, work=False, http=http, **settings(issuer)) as opened:
        yield opened


def rule(
    harness: Harness, mode: SignUpMode, *, emails: tuple[str, ...] = (), telegram_ids: tuple[int, ...] = ()
) -> None:
    """Set the installation to this, as a restart with other settings does."""
    allowed = allow_list(emails, telegram_ids)
    harness.services.admission.sign_up = SignUp(SignUpRule(mode=mode, allowed=allowed))


async def rows(harness: Harness) -> dict[str, int]:
    """How many rows each table has."""
    found = [t for t in tables.metadata.sorted_tables if t.name not in TRANSPORT]
    return await harness.services.store.read(
        lambda tx: {t.name: int(tx.scalar(sa.select(sa.func.count()).select_from(t))) for t in found}
    )


class Somebody:
    """A new person, with an address and a Telegram account of their own."""

    def __init__(self, harness: Harness, issuer: Issuer) -> None:
        self.harness, self.issuer, self.number = harness, issuer, next(_numbers)
        self.email, self.telegram_id = f"p{self.number}@example.com", 100_000 + self.number

    async def enter(self, door: str, *, invite: str = "") -> Reply:
        """What the last step of logging in through a door answers."""
        return await getattr(self, "_" + door.replace(" ", "_"))(invite)

    async def _mail(self, invite: str) -> Reply:
        asked = await self.ask_for_code(invite)
        body = {"email": self.email, "code": asked.data["code"]}
        return await self.harness.ask(
            "POST", f"/api/auth/invite/{invite}" if invite else "/api/auth/email/verify", body
        )

    async def ask_for_code(self, invite: str = "") -> Reply:
        path = f"/api/auth/invite/{invite}" if invite else "/api/auth/email/request"
        asked = await self.harness.ask("POST", path, {"email": self.email})
        assert asked.status == (202 if invite else 200), asked
        return asked

    def launch(self, invite: str = "") -> str:
        fields = {"auth_date": str(int(time.time())), "user": user_field({"id": self.telegram_id, "first_name": "P"})}
        return signed(TOKEN, {**fields, "start_param": f"inv_{invite}"} if invite else fields)

    async def _launch_data(self, invite: str) -> Reply:
        return await self.harness.ask("POST", "/api/auth/telegram", {"initData": self.launch(invite)})

    async def _telegram_login(self, invite: str) -> Reply:
        from tests.api.identity.test_browser_login import come_back, leave

        self.issuer.claims = {"id": self.telegram_id, "sub": str(self.telegram_id)}
        given = {"invite": invite} if invite else {}
        return await come_back(self.harness, await leave(self.harness), **given)


def as_person(harness: Harness, entered: Reply) -> Person:
    assert entered.status == 200, entered
    place = entered.data.get("workspaceId") or entered.data["workspace"]["id"]
    return Person(harness, {"Authorization": f"Bearer {entered.data['token']}", "X-Workspace-Id": place}, entered.data)


async def invite_of(owner: Person, **more: str) -> str:
    made = await owner("POST", f"/api/workspace/{owner.workspace_id}/invite", {"role": "member", **more})
    assert made.status == 201, made
    return str(made.data["inviteToken"])


async def roles(person: Person) -> dict[str, str]:
    """The workspaces of a person with their role."""
    found = (await person("GET", "/api/me")).data["workspaces"]
    return {one["id"]: one["role"] for one in found}


def refused(reply: Reply, door: str) -> bool:
    # at the door of mail, what was never sent cannot be right
    return (reply.status, reply.code) == ((401, "invalid_code") if door == "mail" else (403, "sign_up_closed"))


async def turned_away(harness: Harness, somebody: Somebody, door: str, *, invite: str = "", code: str = "") -> None:
    """A stranger is refused, and nothing is left of it."""
    before = await rows(harness)
    reply = await somebody.enter(door, invite=invite)
    if code and door != "mail":
        assert (reply.status, reply.code) == (403, code), (door, reply)
    else:
        assert refused(reply, door), (door, reply)
    assert await rows(harness) == before, door


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mode", MODES)
async def test_the_first_owns_and_the_next_is_a_stranger(
    harness: Harness, issuer: Issuer, mode: SignUpMode, door: str
) -> None:
    rule(harness, mode)
    owner = as_person(harness, await Somebody(harness, issuer).enter(door))
    assert await roles(owner) == {owner.workspace_id: "owner"}
    for other in DOORS:
        stranger = Somebody(harness, issuer)
        if mode in CLOSED:
            await turned_away(harness, stranger, other)
        else:
            assert (await stranger.enter(other)).status == 200
    # whoever is in logs in again, through the same door
    assert await harness.services.store.read(sign_up_rows.people) == (1 if mode in CLOSED else 4)


@pytest.mark.parametrize("mode", MODES)
async def test_with_an_invite_and_when_it_is_over(harness: Harness, issuer: Issuer, mode: SignUpMode) -> None:
    rule(harness, mode)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    for door in DOORS:
        guest = Somebody(harness, issuer)
        invite = await invite_of(owner)
        if mode is SignUpMode.FIRST:
            await turned_away(harness, guest, door, invite=invite)
            continue
        entered = as_person(harness, await guest.enter(door, invite=invite))
        if mode is SignUpMode.OPEN:
            # a workspace of their own, and then the other one
            joined = await entered("POST", f"/api/auth/invite/{invite}", {})
            assert (joined.status, joined.data["workspaceId"]) == (200, owner.workspace_id)
            assert sorted((await roles(entered)).values()) == ["member", "owner"]
            continue
        assert await roles(entered) == {owner.workspace_id: "member"}
        # asking again is no error for who is in by it, and the token is of no use to anybody else
        again = await entered("POST", f"/api/auth/invite/{invite}", {})
        assert (again.status, again.data["role"]) == (200, "member")
        if door == "mail":
            gone = await harness.ask("POST", f"/api/auth/invite/{invite}", {"email": Somebody(harness, issuer).email})
            assert (gone.status, gone.code) == (409, "invite_used")
        else:
            await turned_away(harness, Somebody(harness, issuer), door, invite=invite, code="invite_unusable")
        # a guest makes no workspace of their own
        before = await rows(harness)
        alone = await entered("POST", "/api/workspaces", {"name": "Mine"})
        assert (alone.status, alone.code) == (403, "workspace_not_allowed")
        changed = {name for name, n in (await rows(harness)).items() if n != before[name]}
        # what a member is refused is on record, and nothing else happened
        assert changed <= {"audit_log"}
        assert (await owner("POST", "/api/workspaces", {"name": "Second"})).status == 201
        me = (await entered("GET", "/api/me")).data["user"]["id"]
        own_invite = await invite_of(owner)
        assert (await owner("DELETE", f"/api/workspace/{owner.workspace_id}/members/{me}")).status == 204
        await turned_away(harness, guest, door)
        # with the login of before they can do nothing but leave for good, or be invited again
        assert (await entered("POST", "/api/workspaces", {"name": "Mine"})).status == 403
        assert (await entered("POST", f"/api/auth/invite/{invite}", {})).code == "invite_unusable"
        assert (await entered("GET", "/api/tasks")).status == 404
        assert await roles(as_person(harness, await guest.enter(door, invite=own_invite))) == {
            owner.workspace_id: "member"
        }


@pytest.mark.parametrize("mode", MODES)
async def test_the_removed_are_strangers_where_sign_up_is_not_open(
    harness: Harness, issuer: Issuer, mode: SignUpMode
) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    guests = {}
    for door in DOORS:
        guests[door] = Somebody(harness, issuer)
        entered = as_person(harness, await guests[door].enter(door, invite=await invite_of(owner)))
        me = (await entered("GET", "/api/me")).data["user"]["id"]
        gone = await (owner if door == "mail" else entered)(
            "DELETE", f"/api/workspace/{owner.workspace_id}/members/{me}"
        )
        assert gone.status == 204
    rule(harness, mode)
    for door, guest in guests.items():
        if mode in CLOSED:
            await turned_away(harness, guest, door)
        else:
            assert list((await roles(as_person(harness, await guest.enter(door)))).values()) == ["owner"]
    if mode in CLOSED:
        emails = (guests["mail"].email,)
        rule(harness, mode, emails=emails, telegram_ids=tuple(g.telegram_id for g in guests.values()))
        for door, guest in guests.items():
            assert list((await roles(as_person(harness, await guest.enter(door)))).values()) == ["owner"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", ["address", "domain", "account"])
async def test_those_on_the_allow_list_come_in_and_nobody_else_is_the_first(
    harness: Harness, issuer: Issuer, mode: SignUpMode, by: str
) -> None:
    ada, bob = Somebody(harness, issuer), Somebody(harness, issuer)
    ada.email = "Ada@Bücher.Example"
    emails = {"address": ("ada@xn--bcher-kva.example",), "domain": ("@xn--bcher-kva.example",), "account": ()}[by]
    ids = (ada.telegram_id, bob.telegram_id) if by == "account" else ()
    rule(harness, mode, emails=emails, telegram_ids=ids)
    lookalike = Somebody(harness, issuer)
    lookalike.email = "ada@bucher.example"
    doors = ("launch data", "telegram login") if by == "account" else ("mail",)
    if mode in CLOSED:
        # there is nobody yet, and still they are not the first
        for door in DOORS:
            await turned_away(harness, Somebody(harness, issuer), door)
        await turned_away(harness, lookalike, "mail")
    for door in doors:
        owner = as_person(harness, await ada.enter(door))
        assert await roles(owner) == {owner.workspace_id: "owner"}
    for door in doors if by == "account" else ():
        assert list((await roles(as_person(harness, await bob.enter(door)))).values()) == ["owner"]
    if mode in CLOSED:
        lookalike.email = "ada@sub.xn--bcher-kva.example"
        await turned_away(harness, lookalike, "mail")
        await turned_away(harness, Somebody(harness, issuer), "launch data")


@pytest.mark.parametrize("mode", CLOSED)
async def test_of_strangers_who_come_at_once_one_is_the_first(
    url: str, tmp_path: Path, issuer: Issuer, mode: SignUpMode
) -> None:
    """Two processes on one store, and four strangers at each of them."""
    async with AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(
                open_house(url, tmp_path, work=False, **settings(issuer, pilot_signup=mode.value))
            )
            for _ in range(2)
        ]
        people = [Somebody(harness, issuer) for harness in houses for _ in range(4)]
        answers = await asyncio.gather(*(one.enter("launch data") for one in people))
        assert sorted(answer.status for answer in answers) == [200] + [403] * 7
        found = await rows(houses[0])
        assert (found["users"], found["workspaces"], found["sessions"]) == (1, 1, 1)


async def test_of_strangers_with_one_invite_one_gets_in(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    invite = await invite_of(owner)
    people = [Somebody(harness, issuer) for _ in range(6)]
    answers = await asyncio.gather(*(one.enter("launch data", invite=invite) for one in people))
    assert sorted((answer.status, answer.code or "") for answer in answers) == [
        (200, ""),
        *[(403, "invite_unusable")] * 5,
    ]
    assert await harness.services.store.read(sign_up_rows.people) == 2


async def test_an_invite_by_mail_is_for_its_address(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    guest, other = Somebody(harness, issuer), Somebody(harness, issuer)
    invite = await invite_of(owner, email=guest.email.upper())
    await turned_away(harness, other, "mail", invite=invite)
    await turned_away(harness, guest, "launch data", invite=invite, code="invite_bound")
    await turned_away(harness, other, "telegram login", invite=invite, code="invite_bound")
    entered = await guest.enter("mail", invite=invite)
    assert (entered.status, entered.data["workspaceId"], entered.data["role"]) == (200, owner.workspace_id, "member")


async def test_the_link_in_the_mail_takes_the_invite_along(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    guest = Somebody(harness, issuer)
    invite = await invite_of(owner)
    await guest.ask_for_code(invite)
    query = sa.select(tables.outbox.c.payload).where(tables.outbox.c.recipient == guest.email)
    payload = await harness.services.store.read(lambda tx: tx.scalar(query))
    notice = notice_of(payload)
    assert isinstance(notice, LoginCodeNotice)
    _, text, html = harness.services.email_login.mail_text(notice)
    address = next(line for line in text.splitlines() if "#login=" in line)
    assert address in html.replace("&amp;", "&")
    link, given = address.partition("#login=")[2].split("&invite=")
    assert given == invite
    closed = await harness.ask("POST", "/api/auth/email/link", {"token": link})
    assert (closed.status, closed.code) == (403, "sign_up_closed")
    entered = await harness.ask("POST", "/api/auth/email/link", {"token": link, "invite": given})
    assert await roles(as_person(harness, entered)) == {owner.workspace_id: "member"}


async def test_launch_data_alone_accept_an_invite(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    guest = Somebody(harness, issuer)
    headers = {"Authorization": f"tma {guest.launch()}"}
    before = await rows(harness)
    none = await harness.ask("POST", "/api/auth/invite/unknown", {}, headers=headers)
    assert (none.status, none.code) == (403, "invite_unusable")
    assert await rows(harness) == before
    joined = await harness.ask("POST", f"/api/auth/invite/{await invite_of(owner)}", {}, headers=headers)
    assert (joined.status, joined.data["workspaceId"], joined.data["role"]) == (200, owner.workspace_id, "member")
    assert (await guest.enter("launch data")).data["workspace"]["id"] == owner.workspace_id


@pytest.mark.parametrize("mode", CLOSED)
async def test_nothing_tells_which_addresses_have_an_account(
    harness: Harness, issuer: Issuer, mode: SignUpMode
) -> None:
    rule(harness, mode)
    ada, stranger = Somebody(harness, issuer), Somebody(harness, issuer)
    owner = as_person(harness, await ada.enter("mail"))
    member = Somebody(harness, issuer)
    rule(harness, mode, emails=(member.email,))
    await member.enter("mail")
    await harness.services.store.write(
        lambda tx: tx.execute(
            sa.update(tables.email_codes).values(created_at=utc_now() - timedelta(minutes=2), used_at=utc_now())
        )
    )
    mails = sa.select(sa.func.count()).select_from(tables.outbox).where(tables.outbox.c.channel == "email")
    sent = await harness.services.store.read(lambda tx: tx.scalar(mails))

    async def asked(somebody: Somebody) -> list[Any]:
        """Everything that can be seen from outside, but for the address and the code."""
        found = []
        for _ in range(2):
            reply = await harness.ask("POST", "/api/auth/email/request", {"email": somebody.email})
            shown = {k: v for k, v in reply.data.items() if k not in ("email", "requestId")}
            if "code" in shown and reply.status == 200:
                assert len(shown.pop("code")) == 6
            assert 25 <= shown.pop("retryAfterSec", 30) <= 30
            found.append((reply.status, shown, sorted(set(reply.headers) - {"Retry-After"})))
        for code in ("000000", "999999"):
            reply = await harness.ask("POST", "/api/auth/email/verify", {"email": somebody.email, "code": code})
            found.append((reply.status, reply.code, reply.data["error"]))
        return found

    before = await rows(harness)
    strange = await asked(stranger)
    assert await rows(harness) == before
    assert strange == await asked(ada) == await asked(member)
    assert [status for status, *_ in strange] == [200, 429, 401, 401]
    # two who are known were sent one each, the stranger none
    assert await harness.services.store.read(lambda tx: tx.scalar(mails)) == sent + 2
    assert owner.workspace_id


async def test_an_invite_sends_no_heaps_of_mail(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    invite = await invite_of(owner)
    answers = [
        await harness.ask("POST", f"/api/auth/invite/{invite}", {"email": f"victim{n}@example.com"}) for n in range(12)
    ]
    assert [a.status for a in answers] == [202] * 10 + [429] * 2
    assert answers[-1].data["retryAfterSec"] > 0


async def test_who_is_put_out_by_the_administrator_stays_out(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}"}
    ada = Somebody(harness, issuer)
    owner = as_person(harness, await ada.enter("mail"))
    place = f"/api/workspace/{owner.workspace_id}"
    # their own doing: they come back, to a workspace that is new
    assert (await owner("DELETE", place)).status == 200
    back = as_person(harness, await ada.enter("mail"))
    assert back.workspace_id != owner.workspace_id
    assert (await owner("POST", f"{place}/restore")).status == 200
    # the administrator's doing, of every workspace of theirs: they do not
    for workspace_id in (owner.workspace_id, back.workspace_id):
        gone = await harness.ask("DELETE", f"/api/admin/tenants/{workspace_id}", {}, headers=headers)
        assert gone.status == 200, gone
    assert (await owner("POST", f"{place}/restore")).status == 404
    assert (await owner("POST", "/api/workspaces", {"name": "Again"})).status == 403
    assert await harness.services.workspaces.closed(await _actor(harness, owner)) == []
    await turned_away(harness, ada, "mail")
    # nobody inherits an installation that had an owner
    await turned_away(harness, Somebody(harness, issuer), "launch data")
    opened = await harness.ask("POST", f"/api/admin/tenants/{owner.workspace_id}/restore", headers=headers)
    assert opened.status == 200
    assert as_person(harness, await ada.enter("mail")).workspace_id == owner.workspace_id


async def _actor(harness: Harness, person: Person) -> Any:
    from services.identity.credentials import Credentials

    token = person.headers["Authorization"].removeprefix("Bearer ")
    return (await harness.services.authentication.identify(Credentials(bearer=token), unsafe_method=False)).actor


async def test_who_erased_themselves_is_nobody_and_leaves_no_claim(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    ada = Somebody(harness, issuer)
    owner = as_person(harness, await ada.enter("launch data"))
    assert (await owner("DELETE", "/api/users/me")).status == 200
    # launch data counts whole seconds: what was used stays used, what is opened later is new
    await asyncio.sleep(1.1)
    await turned_away(harness, ada, "launch data")
    await turned_away(harness, Somebody(harness, issuer), "telegram login")
    rule(harness, SignUpMode.INVITE, telegram_ids=(ada.telegram_id,))
    assert (await ada.enter("launch data")).status == 200


async def test_what_a_removed_member_invited_is_void(harness: Harness, issuer: Issuer) -> None:
    rule(harness, SignUpMode.INVITE)
    owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
    guest = Somebody(harness, issuer)
    entered = as_person(harness, await guest.enter("mail", invite=await invite_of(owner)))
    me = (await entered("GET", "/api/me")).data["user"]["id"]
    assert (await owner("POST", f"/api/workspace/{owner.workspace_id}/transfer", {"userId": me})).status in (200, 204)
    kept = await invite_of(replace(entered, login={**entered.login, "workspace": {"id": owner.workspace_id}}))
    assert (
        await entered("POST", f"/api/workspace/{owner.workspace_id}/transfer", {"userId": owner.user_id})
    ).status in (
        200,
        204,
    )
    assert (await owner("DELETE", f"/api/workspace/{owner.workspace_id}/members/{me}")).status == 204
    revoked = await harness.ask("POST", f"/api/auth/invite/{kept}", {"email": guest.email})
    assert (revoked.status, revoked.code) == (404, "invite_unknown")


async def test_one_person_owns_no_more_workspaces_than_are_allowed(url: str, tmp_path: Path, issuer: Issuer) -> None:
    async with open_house(url, tmp_path, work=False, **settings(issuer, pilot_workspaces_per_person=3)) as harness:
        owner = as_person(harness, await Somebody(harness, issuer).enter("mail"))
        answers = await asyncio.gather(*(owner("POST", "/api/workspaces", {"name": f"W{n}"}) for n in range(6)))
        assert sorted(a.status for a in answers) == [201] * 2 + [409] * 4
        assert {a.code for a in answers if a.status == 409} == {"too_many_workspaces"}
        # closing one makes no room until it is removed
        assert (await owner("DELETE", f"/api/workspace/{owner.workspace_id}?graceDays=0")).status == 200
        assert (await owner("POST", "/api/workspaces", {"name": "W"})).status == 409
        await harness.services.erasure.purge_due()
        assert (await owner("POST", "/api/workspaces", {"name": "W"})).status == 201


async def test_people_of_before_log_in_as_before(harness: Harness, issuer: Issuer) -> None:
    """What an installation had when everybody could sign up it keeps under the default of now."""
    rule(harness, SignUpMode.OPEN)
    people = {door: [Somebody(harness, issuer) for _ in range(2)] for door in DOORS}
    homes = {
        one.number: (await one.enter(door)).data["workspace"]["id"] for door, ones in people.items() for one in ones
    }
    for mode in CLOSED:
        rule(harness, mode)
        for door, ones in people.items():
            for one in ones:
                entered = as_person(harness, await one.enter(door))
                assert entered.workspace_id == homes[one.number]
                assert await roles(entered) == {entered.workspace_id: "owner"}
        await turned_away(harness, Somebody(harness, issuer), "launch data")


@pytest.mark.parametrize("mode", MODES)
async def test_health_says_who_may_sign_up_and_of_whom_it_says_nothing(
    tmp_path: Path, url: str, mode: SignUpMode
) -> None:
    async with open_house(url, tmp_path, work=False, http={"sign_up": mode.value}) as harness:
        before = (await harness.ask("GET", "/health")).data
        await harness.services.store.write(lambda tx: harness.services.people.of_address(tx, "ada@example.com"))
        after = (await harness.ask("GET", "/health")).data
        assert before["signUp"] == after["signUp"] == mode.value
        assert before.keys() == after.keys()
        assert before["checks"].keys() == after["checks"].keys()
