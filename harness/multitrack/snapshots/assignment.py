"""The assignment problem: rows to columns such that what they are worth to each other is most in all."""

from __future__ import annotations

from collections.abc import Sequence

from multitrack.snapshots.lanes import Lanes, each

THRICE = 3
"""How many times the highest worth the lanes must hold."""


def assign(worth: Sequence[int], lanes: Lanes) -> list[tuple[int, int]]:
    """Pairs of a row and a column, each in at most one pair, with the highest sum of what they are worth.

    ``worth`` has for each row, in ``lanes``, what it is worth to pair it with each column: from 0, of which no pair is
    made. Of pairs that are worth the same, those are taken that cross the least.
    """
    marks = _Assignment(worth, lanes).partners
    return _uncrossed(worth, lanes, [(row, lanes.marked(mark)) for row, mark in enumerate(marks) if mark])


class _Assignment:
    """The Hungarian method by shortest augmenting paths (https://doi.org/10.1007/BF02278710), all columns at once.

    Rows come one by one. Each has a ``share`` and each column a price, which make up for no less than what the two are
    worth, and for just that where they are ``partners`` (a column is named by its mark). A row takes a free column
    where one makes up for just that, or one whose owner finds another, and so on; shares and prices change by no more
    than it takes. A row whose share comes to 0 is as well off alone.
    """

    def __init__(self, worth: Sequence[int], lanes: Lanes) -> None:
        self.worth, self.lanes = worth, lanes
        self.shares = [max(lanes.numbers(row), default=0) for row in worth]
        self.prices = 0
        self.partners = [0] * len(worth)
        self.owners: dict[int, int] = {}
        self.free = lanes.marks
        for row, share in enumerate(self.shares):
            if share:
                _Search(self, row).run()


class _Search:
    """The cheapest way from a row without a partner to a free column, or to a row that is as well off alone.

    A column's distance is what all would lose on the way there. ``reached`` are the rows whose columns came nearest,
    each with its column and distance; ``nearer`` are the rows that brought columns nearer, with these.
    """

    def __init__(self, state: _Assignment, start: int) -> None:
        self.state, self.lanes = state, state.lanes
        self.distance, self.near = 0, self.lanes.marks
        self.distances = self.lanes.most
        self.taken = 0
        self.nearer: list[tuple[int, int]] = []
        self.reached: list[tuple[int, int, int]] = []
        self.todo: list[int] = []
        self.alone = state.shares[start], start
        self._reach(start, 0)

    def run(self) -> None:
        while True:
            while self.todo:
                if free := self._scan(self.todo.pop()) & self.state.free:
                    return self._end_at(free & -free)
            open_ = self.distances | self.lanes.filled(self.taken)
            self.distance = min(self.lanes.numbers(open_))
            if self.alone[0] <= self.distance:
                return self._end_alone()
            # less a distance that is no longer, it keeps the lane's mark
            self.near = self.lanes.marks + self.distance * self.lanes.ones
            nearest = (self.near - open_) & self.lanes.marks
            if free := nearest & self.state.free:
                return self._end_at(free & -free)
            self._take(nearest)

    def _scan(self, row: int) -> int:
        """See which columns come nearer by ``row``. Gives the free ones at no distance; takes the others there."""
        lanes, state = self.lanes, self.state
        by_row = (state.shares[row] + self.distance) * lanes.ones + state.prices - state.worth[row]
        nearer = lanes.marks & ~(((by_row | lanes.marks) - self.distances) | self.taken)
        if not nearer:
            return 0
        self.nearer.append((nearer, row))
        self.distances ^= (self.distances ^ by_row) & lanes.filled(nearer)
        here = (self.near - self.distances) & nearer
        if here and not here & state.free:
            self._take(here)
        return here

    def _take(self, columns: int) -> None:
        self.taken |= columns
        owners = self.state.owners
        for column in each(columns):
            self._reach(owners[column], column)

    def _reach(self, row: int, column: int) -> None:
        self.todo.append(row)
        self.reached.append((row, column, self.distance))
        alone = self.distance + self.state.shares[row]
        if alone < self.alone[0]:
            self.alone = alone, row

    def _end_at(self, column: int) -> None:
        self._settle()
        self.state.free ^= column
        self._hand_on(column)

    def _end_alone(self) -> None:
        self.distance, row = self.alone
        self._settle()
        column, self.state.partners[row] = self.state.partners[row], 0
        if column:
            self._hand_on(column)

    def _settle(self) -> None:
        """Let each row on the way lose, and its column's price rise, by what the way was longer than to there."""
        for row, column, distance in self.reached:
            if distance < self.distance:
                self.state.shares[row] -= self.distance - distance
                self.state.prices += self.lanes.counted(column) * (self.distance - distance)

    def _hand_on(self, column: int) -> None:
        """Give ``column`` to the row by which it came nearest, that row's own to the one before, and so on."""
        for nearer, row in reversed(self.nearer):
            if nearer & column:
                before, self.state.partners[row] = self.state.partners[row], column
                self.state.owners[column] = row
                if not before:
                    return
                column = before


def _uncrossed(worth: Sequence[int], lanes: Lanes, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs, with the columns of two rows exchanged where they cross and are worth as much the other way."""
    highest = (1 << lanes.bits) - 1

    def at(row: int, column: int) -> int:
        return worth[row] >> lanes.bits * column & highest

    result: list[tuple[int, int]] = []
    for row, column in pairs:
        place = len(result)
        while place and result[place - 1][1] > column:
            other, crossing = result[place - 1]
            if at(row, crossing) + at(other, column) != at(row, column) + at(other, crossing):
                break
            place -= 1
            result[place] = (other, column)
            column = crossing
        result.append((row, column))
    return result
