"""Ways from chat into the Mini App."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Button = dict[str, Any]


def opens_in_chat(address: str) -> bool:
    """Whether Telegram lets a button open it as a Mini App: https, and a host with a dot or an IPv6 address."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return parts.scheme == "https" and ("." in host.strip(".") or ":" in host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """`app_url` is the public address of the installation, without a slash at the end.

    `in_chat` says whether Telegram opens that address: it refuses a whole message for one button it does not open.
    """

    app_url: str
    in_chat: bool
    username: str = ""

    @property
    def mini_app(self) -> str:
        """The address of the Mini App."""
        return f"{self.app_url}/app/"

    def page(self, page: str = "", *, workspace_id: str = "") -> str:
        """The address of a page for a browser, where a button cannot lead to it."""
        address = f"{self.mini_app}?in={workspace_id}" if workspace_id else self.mini_app
        return f"{address}#/{page}" if page else address

    def button(
        self, text: str, *, page: str = "", start: str = "", private: bool, workspace_id: str = ""
    ) -> Button | None:
        """A button that opens a page of the Mini App, None where Telegram would refuse it.

        Groups know no web_app buttons: there it is a link that opens the app with `start`. With `workspace_id` the
        app opens there, whichever workspace the person looks at in chat.
        """
        if not self.in_chat:
            return None
        if private:
            return {"text": text, "web_app": {"url": self.page(page, workspace_id=workspace_id)}}
        if not self.username:
            return None
        return {"text": text, "url": f"https://t.me/{self.username}?startapp={start}"}
