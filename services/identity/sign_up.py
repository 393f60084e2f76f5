"""The one place that decides who may have an account on this installation, and a workspace of their own."""

from dataclasses import dataclass

from domain.errors import Conflict, Forbidden
from domain.identity.sign_up import SignUpMode, SignUpRule
from domain.identity.user import User
from storage.identity import sign_up_rows
from storage.transaction import Tx

# whoever runs the installation, in the audit trail
ADMINISTRATOR = "platform-admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Somebody who belongs to no open workspace. `user_id` is None for whom nothing is known yet.

    `email` and `telegram_id` were proven at some time: by a code, by launch data, or by who sent an update.
    """

    user_id: str | None = None
    email: str | None = None
    telegram_id: int | None = None

    @classmethod
    def of(cls, user: User | None, *, email: str | None = None, telegram_id: int | None = None) -> "Newcomer":
        """Of a person who is known, or of what was just proven by somebody who is not."""
        if user is None:
            return cls(email=email, telegram_id=telegram_id)
        return cls(user_id=user.id, email=user.email or email, telegram_id=user.telegram_id or telegram_id)


@dataclass(frozen=True, slots=True)
class SignUp:
    """Every way in asks here, in the transaction that would create the person. Nothing is written."""

    rule: SignUpRule

    @property
    def open(self) -> bool:
        """Whether everybody may sign up."""
        return self.rule.mode is SignUpMode.OPEN

    @property
    def by_invite(self) -> bool:
        """Whether an invite into a workspace makes an account."""
        return self.rule.mode is not SignUpMode.FIRST

    def may_own(self, tx: Tx, who: Newcomer) -> bool:
        """Whether a workspace may be made for this person.

        In an open installation for everybody; elsewhere for those on the allow-lists, for who owns a workspace already,
        unless the administrator closed it, and for the first person who comes.
        """
        return (
            self.open
            or self.rule.allowed.names(email=who.email, telegram_id=who.telegram_id)
            or (who.user_id is not None and sign_up_rows.owns_any(tx, who.user_id, unless_closed_by=ADMINISTRATOR))
            or self._is_first(tx, who)
        )

    def _is_first(self, tx: Tx, who: Newcomer) -> bool:
        """Whether nobody was ever here before. Where an allow-list is set, nobody else is the first.

        Of several who come at once, one is: the others wait here until its transaction is over.
        """
        if self.rule.allowed or sign_up_rows.anybody_but(tx, who.user_id):
            return False
        sign_up_rows.lock_claim(tx)
        return not sign_up_rows.anybody_but(tx, who.user_id) and not sign_up_rows.any_workspace(tx)

    def check_room(self, tx: Tx, user_id: str) -> None:
        """Conflict when the person owns as many workspaces as one may; closed ones count until they are removed."""
        most = self.rule.workspaces_each
        if sign_up_rows.owned(tx, user_id) >= most:
            raise Conflict(f"one person may own {most} workspaces here", code="too_many_workspaces")

    def check_owner(self, tx: Tx, user: User) -> None:
        """Forbidden unless this person may have one more workspace."""
        if not self.may_own(tx, Newcomer.of(user)):
            raise Forbidden("only who owns a workspace here can make another one", code="workspace_not_allowed")


EVERYBODY = SignUp(SignUpRule(mode=SignUpMode.OPEN))
