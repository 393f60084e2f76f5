"""Effect levels: how far the effect of a tool's call reaches."""

from enum import IntEnum


class Effect(IntEnum):
    """How far a call reaches: E0 computes, E1 reads, E2 writes softly, E3 acts outside, E4 is critical."""

    E0 = 0
    E1 = 1
    E2 = 2
    E3 = 3
    E4 = 4
