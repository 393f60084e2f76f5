"""Scripts and styles as they are sent: without the indents and comments, which are for whoever reads the source."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes and their content type."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by name, and the version that their content gives them."""

    files: dict[str, Asset]
    version: str

    @property
    def scripts(self) -> list[str]:
        """The names of the scripts, in order."""
        return [name for name in self.files if name.endswith(".js")]


def load_assets(folder: Path = STATIC) -> Assets:
    """Read the folder."""
    files: dict[str, Asset] = {}
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*.*") if p.suffix in KINDS):
        name = path.relative_to(folder).as_posix()
        body = _SMALLER.get(path.suffix, str)(path.read_text(encoding="utf-8")).encode()
        files[name] = Asset(body, KINDS[path.suffix])
        digest.update(name.encode() + body)
    return Assets(files, digest.hexdigest()[:12])


def without_indents(text: str) -> str:
    """The text with every line begun at its first character. No string of it may go over several lines."""
    return re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE)


def smaller_script(text: str) -> str:
    """A script without its indents and the lines that are a comment."""
    return without_indents(re.sub(r"^[ \t]*//.*\n", "", text, flags=re.MULTILINE))


def smaller_style(text: str) -> str:
    """A style sheet without its indents and comments."""
    return without_indents(re.sub(r"/\*.*?\*/\n?", "", text, flags=re.DOTALL))


_SMALLER = {".js": smaller_script, ".css": smaller_style}
