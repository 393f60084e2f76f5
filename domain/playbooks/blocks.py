"""Conditions on lines of their own: which of them a step stands below, and what an `else` belongs to."""

from dataclasses import dataclass, field

from domain.playbooks.conditions import Condition
from domain.playbooks.errors import PlaybookError


@dataclass(slots=True)
class Block:
    """A condition on a line of its own. `used`: a step stands below it, so that only indented ones follow.

    `before` are the conditions of the same chain that an `else` has to deny as well.
    """

    indent: int
    condition: Condition
    line: int
    before: tuple[Condition, ...] = ()
    used: bool = False
    first_indent: int = -1


@dataclass(slots=True)
class Blocks:
    """The blocks around a place in the text, the outermost first, and those that an `else` can still follow."""

    open: list[Block] = field(default_factory=list)
    closed: list[Block] = field(default_factory=list)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What a step has to meet here."""
        return tuple(block.condition for block in self.open)

    def begin(self, block: Block) -> None:
        """Begin a block that is no `else`."""
        self.close_before(block.indent)
        self.open.append(block)

    def begin_else(self, block: Block) -> None:
        """Begin the block of an `else`, whose chain `take_chain` has ended."""
        self.open.append(block)

    def step(self, indent: int) -> None:
        """A step stands here, below all that is open."""
        for block in self.open:
            block.used = True
            block.first_indent = indent if block.first_indent < 0 else block.first_indent
        self.closed = [block for block in self.closed if block.indent < indent]

    def close_all(self) -> None:
        """The text has ended. PlaybookError when a condition has no step below it."""
        self._close(-1)

    def close_before(self, indent: int) -> None:
        """Close what is over before a condition or step at this indentation."""
        while self.open:
            block = self.open[-1]
            if block.indent < indent and not (block.used and block.first_indent <= block.indent):
                return
            if block.indent <= indent and not block.used:
                return
            self._close(block.indent)

    def take_chain(self, indent: int) -> tuple[Condition, ...] | None:
        """The conditions that an `else` at this indentation denies, None when it has none before it."""
        self.close_before(indent)
        if self.open and self.open[-1].indent >= indent:
            self._close(indent)
        block = next((b for b in reversed(self.closed) if b.indent == indent), None)
        if block is None:
            return None
        self.closed.remove(block)
        return (*block.before, block.condition)

    def _close(self, indent: int) -> None:
        """Close the blocks whose steps are over: those at the same or a deeper indentation, once used."""
        while self.open and self.open[-1].indent >= indent:
            block = self.open.pop()
            if not block.used:
                raise PlaybookError("the condition has no step below it", line=block.line)
            self.closed = [b for b in self.closed if b.indent < block.indent] + [block]
