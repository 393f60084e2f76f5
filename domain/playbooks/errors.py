"""The one error a playbook can have: it is not right as it is written, with line, column and reason."""

from domain.errors import Invalid


class PlaybookError(Invalid):
    """The playbook cannot be run as it is written."""

    code = "playbook_invalid"

    def __init__(self, reason: str, *, line: int, column: int = 1) -> None:
        super().__init__(f"line {line}: {reason}", details={"line": line, "column": column, "reason": reason})
        self.reason = reason
        self.line = line
        self.column = column
