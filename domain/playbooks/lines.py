"""Lines of a text: which are steps or conditions of a playbook, and which are prose. Nothing is read here yet."""

import re
from collections.abc import Mapping, Sequence

from domain.tools.tool import ToolSpec

BULLET = re.compile(r"(?:(\d{1,3})[.)]|[-*•–])(?=\s)[ \t]*")
TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9][A-Za-z0-9_-]*)*")
GUARD = re.compile(r"(if|when|unless)\b[ \t]*", re.IGNORECASE)
ELSE = re.compile(r"(?:else|otherwise)[ \t]*(?::|(?=if\b))|el(?=if\b)", re.IGNORECASE)
PARAMS = re.compile(r"param(?:eter)?s?[ \t]*:", re.IGNORECASE)
ON_FAILURE = re.compile(r"on[ \t]+(?:failure|error)[ \t]*:[ \t]*", re.IGNORECASE)
COMMENT = re.compile(r"#|//|>|```[A-Za-z]*[ \t]*\r?(?:\n|\Z)")
ARG = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)([ \t]*=(?!=)|:(?=\s|$))")
_ARG_EQUALS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*=(?!=)")
_LOOKS_LIKE_CONDITION = re.compile(r"(?:not\b|\(|\{\{|[ \t])*(?:steps|params)[.\[]")


def hint(text: str, tools: Sequence[ToolSpec]) -> str:
    """A sentence for the author of a text that is no playbook but has lines that look like trying; "" if none."""
    names = {spec.name for spec in tools}
    for number, line in enumerate(text.split("\n"), start=1):
        tool, _, bullet = _head(line)
        if tool in names and "." in tool and bullet:
            return f"Line {number} names the tool {tool}; its arguments are written as name=value."
    return ""


def is_surely_a_step(line: str, specs: Mapping[str, ToolSpec]) -> bool:
    """Whether a line alone makes a text a playbook."""
    if COMMENT.match(line.strip()):
        return False
    tool, rest, bullet = _head(line)
    if not tool:
        return False
    has_args = _ARG_EQUALS.match(rest) is not None
    if tool in specs:
        return has_args or (rest in ("", ":") and "." in tool and (bullet or rest == ":"))
    return has_args and "." in tool


def is_step(rest: str, specs: Mapping[str, ToolSpec], *, bulleted: bool) -> bool:
    """Whether what follows a bullet, or stands on a line without one, was meant as a step of a playbook."""
    if is_surely_a_step(rest, specs):
        return True
    tool, after, _ = _head(rest)
    if not bulleted:
        return tool in specs and after in ("", ":") and "." in tool
    if tool in specs:
        return "." in tool or after in ("", ":")
    # A bullet with a single dotted word, or with name=value behind a word, was meant as a step.
    return bool(tool) and (("." in tool and after in ("", ":")) or _ARG_EQUALS.match(after) is not None)


def is_condition(rest: str, specs: Mapping[str, ToolSpec]) -> bool:
    """Whether this was meant as a condition of a playbook: prose begins with "if" as well."""
    rest = rest.rstrip()
    word = GUARD.match(rest)
    if word is None:
        return False
    if rest.endswith(":") or _LOOKS_LIKE_CONDITION.match(rest, word.end()):
        return True
    behind = rest.partition(": ")[2]
    return bool(behind) and is_surely_a_step(behind, specs)


def is_argument_below(line: str, indent: int) -> bool:
    """Whether a line is indented deeper than what it belongs to, and goes on with `name=` or `name:`."""
    deeper = len(line) - len(line.lstrip(" \t")) > indent
    body = line.strip()
    if ELSE.match(body) or COMMENT.match(body):
        return False
    return deeper and ARG.match(body) is not None


def _head(line: str) -> tuple[str, str, bool]:
    """The word where a tool would stand (behind bullet and condition), what follows it, whether there is a bullet."""
    rest = line.strip()
    bullet = BULLET.match(rest)
    if bullet is not None:
        rest = rest[bullet.end() :]
    if GUARD.match(rest) and ": " in rest:
        rest = rest.rpartition(": ")[2] if not TOOL.match(rest.partition(": ")[2]) else rest.partition(": ")[2]
    word = TOOL.match(rest)
    if word is None:
        return "", rest, bullet is not None
    after = rest[word.end() :]
    if after.startswith(":") and _ARG_EQUALS.match(after[1:].strip()):
        after = after[1:]
    if after and not after[0].isspace() and after.strip() != ":":
        return "", rest, bullet is not None
    return word[0].lower(), after.strip(), bullet is not None
