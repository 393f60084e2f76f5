"""A checkpoint from elsewhere, held against the log of an archive: neither may deny what the other one signed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.receipts.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from domain.receipts.errors import BadNote, BadProof
from domain.receipts.merkle import EMPTY_ROOT, Frontier, verify_consistency
from domain.receipts.report import CheckFailed


@dataclass(slots=True, kw_only=True)
class Outside:
    """The other checkpoint, None where there is none to compare with, and the root that the log had at its size.

    `consistency` is the proof between the two, for what the archive cannot show itself.
    """

    note: str | None
    trusted: frozenset[bytes]
    consistency: Sequence[bytes]
    signed: SignedCheckpoint | None = None
    root: bytes | None = None

    def open(self, *, origin: str, keys: Iterable[bytes]) -> None:
        """Check its signature, by the keys of the archive or a trusted one; CheckFailed when none fits."""
        if self.note is None:
            return
        try:
            self.signed = open_checkpoint(self.note, keys={*keys, *self.trusted}, origin=origin)
        except BadNote as error:
            raise CheckFailed("outside", str(error)) from error
        if self.signed.checkpoint.size == 0:
            self.root = EMPTY_ROOT

    def reach(self, frontier: Frontier) -> None:
        """Keep the root of a log that has grown so far, if that is the size to compare at."""
        if self.signed is not None and self.signed.checkpoint.size == frontier.size:
            self.root = frontier.root()

    def compare(self, head: Checkpoint, *, believed: set[bytes]) -> None:
        """Check that one of the two extends the other. `believed` are the keys that the trusted ones lead to."""
        if self.signed is None:
            return
        other = self.signed.checkpoint
        if self.trusted and believed.isdisjoint(self.signed.signed_by):
            raise CheckFailed("outside", "the other checkpoint is not signed by a trusted key")
        if other.size == head.size:
            same = other.root == head.root
        elif self.root is not None:
            same = other.root == self.root
        else:
            old, new = sorted((head, other), key=lambda checkpoint: checkpoint.size)
            if not self.consistency:
                raise CheckFailed(
                    "outside", f"a consistency proof from {old.size} to {new.size} is needed to compare the checkpoints"
                )
            try:
                verify_consistency(
                    old_size=old.size,
                    old_root=old.root,
                    new_size=new.size,
                    new_root=new.root,
                    path=self.consistency,
                )
            except BadProof as error:
                raise CheckFailed("outside", str(error)) from error
            same = True
        if not same:
            raise CheckFailed("outside", "the log was rewritten: it does not extend the other checkpoint")
