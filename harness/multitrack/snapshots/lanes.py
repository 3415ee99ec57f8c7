"""Small numbers side by side in a large one, each in a lane of its own: what is done to one is done to all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack, unpack

_FORMATS = {16: "H", 32: "I", 64: "Q"}


class Lanes:
    """``count`` lanes for numbers from 0 to ``most``, in the order of their least significant bits.

    Numbers in lanes are added, and multiplied by one number, as the integers that they are. A lane's highest bit is
    its *mark*, which no number reaches: marks say of which lanes something holds.
    """

    def __init__(self, count: int, most: int) -> None:
        self.count = count
        self.bits = next(bits for bits in _FORMATS if most < 1 << (bits - 1))
        self.ones = ((1 << self.bits * count) - 1) // ((1 << self.bits) - 1)
        self.marks = self.ones << (self.bits - 1)
        self.most = self.marks - self.ones
        """The highest number that a lane can hold, in all of them."""

    def packed(self, numbers: Sequence[int]) -> int:
        """One number for each lane, in lanes."""
        return int.from_bytes(pack(f"<{self.count}{_FORMATS[self.bits]}", *numbers), "little")

    def numbers(self, lanes: int) -> tuple[int, ...]:
        """The number in each lane."""
        size = self.count * self.bits // 8
        return unpack(f"<{self.count}{_FORMATS[self.bits]}", lanes.to_bytes(size, "little"))

    def reaching(self, lanes: int, others: int) -> int:
        """The marks of the lanes with a number of at least that in ``others``."""
        return ((lanes | self.marks) - others) & self.marks

    def filled(self, marks: int) -> int:
        """All bits of the marked lanes, below their marks."""
        return marks - (marks >> (self.bits - 1))

    def counted(self, marks: int) -> int:
        """A 1 in each marked lane."""
        return marks >> (self.bits - 1)

    def mark(self, lane: int) -> int:
        """The mark of one lane."""
        return 1 << (self.bits * (lane + 1) - 1)

    def marked(self, mark: int) -> int:
        """Which lane it is that has this mark alone."""
        return mark.bit_length() // self.bits - 1


def each(marks: int) -> Iterator[int]:
    """Each mark alone, in the order of the lanes."""
    while marks:
        mark = marks & -marks
        yield mark
        marks ^= mark
