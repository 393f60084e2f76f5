"""The person behind what was proven (a Telegram account, a provider's word, a mail address), created if need be."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.clock import Now
from domain.identity.user import User
from domain.ids import new_id
from domain.ports import ProvenPerson
from services.identity.admission import Admission
from storage.identity import user_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One person for each proof. Forbidden for who is new and may not sign up, with the invite or without."""

    admission: Admission
    now: Now

    def of_telegram(
        self,
        tx: Tx,
        *,
        telegram_id: int,
        name: str,
        username: str | None,
        language: str | None,
        photo_url: str | None,
        invite: str | None,
    ) -> User:
        """The person with a Telegram account, created or brought up to date."""
        now = self.now()
        user = user_rows.by_telegram(tx, telegram_id)
        if user is None:
            self.admission.check_may_enter(tx, None, telegram_id=telegram_id, invite=invite)
            fresh = _new_user(
                name=name,
                telegram_id=telegram_id,
                username=username,
                language=language,
                photo_url=photo_url,
                now=now,
            )
            if user_rows.add_once(tx, fresh, now=now):
                return fresh
            user = user_rows.by_telegram(tx, telegram_id)
            assert user is not None
        seen: dict[str, Any] = {"name": name, "username": username, "photo_url": photo_url or user.photo_url}
        # a language chosen in the app outlives what Telegram says
        if user.preferences.get("language") is None and language is not None:
            seen["language"] = language
        changed = {key: value for key, value in seen.items() if getattr(user, key) != value}
        if changed:
            user_rows.change(tx, user.id, now=now, **changed)
            user = replace(user, **changed)
        return user

    def of_provider(self, tx: Tx, person: ProvenPerson, *, invite: str | None) -> User:
        """Whom an identity provider vouches for. The Telegram account decides who that is, where it is named."""
        now = self.now()
        known = user_rows.by_subject(tx, person.subject)
        if person.telegram_id is not None:
            if known is not None and user_rows.by_telegram(tx, person.telegram_id) is None:
                user_rows.change(tx, known.id, now=now, telegram_id=person.telegram_id)
            user = self.of_telegram(
                tx,
                telegram_id=person.telegram_id,
                name=person.name,
                username=person.username,
                language=None,
                photo_url=person.photo_url,
                invite=invite,
            )
            if known is None:
                user_rows.change(tx, user.id, now=now, oidc_subject=person.subject)
            return user
        if known is not None:
            return known
        self.admission.check_may_enter(tx, None, invite=invite)
        fresh = _new_user(name=person.name, username=person.username, photo_url=person.photo_url, now=now)
        if user_rows.add_of_subject(tx, fresh, person.subject, now=now):
            return fresh
        came_first = user_rows.by_subject(tx, person.subject)
        assert came_first is not None
        return came_first

    def of_address(self, tx: Tx, email: str, *, invite: str | None = None) -> User:
        """The person with a proven address, created at the first login; Forbidden when they may not sign up."""
        user = user_rows.by_email(tx, email)
        if user is not None:
            return user
        self.admission.check_may_enter(tx, None, email=email, invite=invite)
        now = self.now()
        fresh = _new_user(name=email.partition("@")[0][:200], email=email, now=now)
        if user_rows.add_once(tx, fresh, now=now):
            return fresh
        found = user_rows.by_email(tx, email)
        assert found is not None
        return found


def _new_user(
    *,
    name: str,
    now: datetime,
    email: str | None = None,
    telegram_id: int | None = None,
    username: str | None = None,
    language: str | None = None,
    photo_url: str | None = None,
) -> User:
    return User(
        id=new_id(),
        email=email,
        telegram_id=telegram_id,
        name=name,
        username=username,
        language=language,
        photo_url=photo_url,
        chat_open=False,
        preferences={},
        created_at=now,
    )
