"""A place in the text of a playbook, and what every reader does there."""

import re
from bisect import bisect_right

from domain.playbooks.errors import PlaybookError


class Cursor:
    """A place in the playbook's text, with the errors that can be made there."""

    def __init__(self, text: str, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self._lines: list[int] | None = None

    def error(self, reason: str, pos: int | None = None) -> PlaybookError:
        line, column = self.where(self.pos if pos is None else pos)
        return PlaybookError(reason, line=line, column=column)

    def where(self, pos: int) -> tuple[int, int]:
        if self._lines is None:
            self._lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        line = bisect_right(self._lines, pos)
        return line, pos - self._lines[line - 1] + 1

    @property
    def at_end(self) -> bool:
        return self.pos >= len(self.text)

    @property
    def at_line_end(self) -> bool:
        return self.at_end or self.text[self.pos] == "\n"

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.pos)

    def take(self, what: str) -> bool:
        if self.peek(what):
            self.pos += len(what)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return found[0]

    def blanks(self, *, lines: bool = False) -> None:
        wanted = " \t\r\n" if lines else " \t\r"
        while not self.at_end and self.text[self.pos] in wanted:
            self.pos += 1

    def rest_of_line(self) -> str:
        end = self.text.find("\n", self.pos)
        return self.text[self.pos :] if end < 0 else self.text[self.pos : end]

    def skip_line(self) -> None:
        """Go on to the beginning of the next line."""
        end = self.text.find("\n", self.pos)
        self.pos = len(self.text) if end < 0 else end + 1

    def end_line(self, after: str) -> None:
        """Go on to the next line; PlaybookError when this one holds anything more `after` what was read."""
        self.blanks()
        if not self.at_line_end:
            raise self.error(f"nothing more is expected after {after}")
        self.skip_line()

    def one(self) -> str:
        """The character here."""
        self.pos += 1
        return self.text[self.pos - 1]
