"""What is to be said of sign-up, by the doctor and at every start."""

from dataclasses import dataclass

from app.settings import Settings
from domain.identity.sign_up import SignUpMode
from storage.identity import sign_up_rows
from storage.transaction import Tx

MEANING = {
    SignUpMode.FIRST: "the first person who comes, and nobody after that",
    SignUpMode.INVITE: "the first person who comes, and then whoever holds an invite",
    SignUpMode.OPEN: "everybody",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpState:
    """How many people have an account, and whether anybody ever had one."""

    people: int
    ever: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`well` is False for what whoever runs the installation should look at."""

    mode: str
    well: bool
    text: str


def sign_up_state(tx: Tx) -> SignUpState:
    """Who is here."""
    return SignUpState(people=sign_up_rows.people(tx), ever=sign_up_rows.anybody_but(tx, None))


def words(settings: Settings, found: SignUpState | None) -> Words:
    """What sign-up is set to and what follows from it; `found` is None while the store cannot be read."""
    rule = settings.sign_up
    how = "PILOT_SIGNUP" if settings.pilot_signup else "as PILOT_SIGNUP is not set"
    said = [f"{rule.mode} ({how}): {MEANING[rule.mode]} may sign up"]
    well = True
    if rule.mode is SignUpMode.OPEN:
        well = settings.only_here and not settings.production
        said.append(
            "only this machine reaches it"
            if well
            else "anybody who finds the bot or the page spends with the model keys of this installation"
        )
        if rule.allowed:
            said.append("the allow-lists change nothing")
    elif rule.allowed:
        entries = len(rule.allowed.emails) + len(rule.allowed.domains) + len(rule.allowed.telegram_ids)
        said.append(f"and whoever the {entries} entries of the allow-lists name")
    if found is not None:
        if not found.ever and rule.mode is not SignUpMode.OPEN:
            well = bool(rule.allowed)
            whoever = "of those on the allow-lists who signs in" if rule.allowed else "person who signs in"
            said.append(f"nobody owns this installation yet: the first {whoever} will")
        elif found.people:
            said.append(f"{found.people} with an account log in as before")
        elif found.ever and not rule.allowed and rule.mode is not SignUpMode.OPEN:
            well = False
            said.append("nobody has an account any more: name who may come in PILOT_ALLOW_EMAILS")
    return Words(mode=rule.mode.value, well=well, text="; ".join(said))
