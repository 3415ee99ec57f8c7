"""The assignment problem: rows to columns such that what they are worth to each other is most in all."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add, sub

# Rows that may be looked through for each row there is, six times of what calls were seen to take. Weights that are
# made to be hard would take a third of a second for 200 rows; beyond this, what is left is assigned as it comes.
_SCANS = 30

_FAR = 1 << 60


def assign(worth: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs of a row and a column, each in at most one pair, with the highest sum of ``worth[row][column]``.

    No worth is below 0, and what is worth 0 is not paired. Of pairs that are worth the same, those are taken that
    cross the least. Augmenting row reduction and shortest augmenting paths (Jonker and Volgenant,
    https://doi.org/10.1007/BF02278710): most rows take their best column at a price that says by how much it was
    better than the second best; the others take the cheapest way to a free column under these prices.
    """
    rows = [row for row, line in enumerate(worth) if any(line)]
    columns = [column for column, line in enumerate(zip(*worth, strict=True)) if any(line)]
    if not rows:
        return []
    # square, so that every row has a column; what pads it is worth nothing
    size = max(len(rows), len(columns))
    padding = [0] * (size - len(columns))
    square = [[*map(worth[row].__getitem__, columns), *padding] for row in rows]
    square += [[0] * size for _ in range(size - len(rows))]
    owners = _Assignment(square).owners
    pairs = [(rows[row], columns[column]) for column, row in enumerate(owners[: len(columns)]) if row < len(rows)]
    return _uncrossed(worth, sorted((row, column) for row, column in pairs if worth[row][column]))


class _Assignment:
    """A square matrix of worths; ``owners`` has the row of each column."""

    def __init__(self, worth: list[list[int]]) -> None:
        self.worth = worth
        self.size = len(worth)
        self.scans = _SCANS * self.size
        self.prices = [max(column) for column in zip(*worth, strict=True)]
        self.owners = [-1] * self.size
        free = list(range(self.size))
        for _ in range(4):
            free = self._bid(free)
        free = [row for row in free if not self._augment(row)]
        for column, owner in enumerate(self.owners):
            if owner < 0:
                self.owners[column] = free.pop()

    def _bid(self, rows: list[int]) -> list[int]:
        """Let each row take the column that leaves it most. Gives the rows that lost theirs and found no other."""
        if self.size == 1:
            return rows
        todo, lost = rows[::-1], []
        bids = self.size  # two rows can outbid each other by one for ever so long
        while todo:
            row = todo.pop()
            if not bids:
                lost.append(row)
                continue
            bids -= 1
            left = list(map(sub, self.worth[row], self.prices))
            most = max(left)
            column = left.index(most)
            left[column] = -_FAR
            second = max(left)
            if second == most and self.owners[column] >= 0:
                left[column] = most
                ties = [other for other, own in enumerate(left) if own == most]
                column = next((other for other in ties if self.owners[other] < 0), ties[1])
            self.prices[column] += most - second
            loser, self.owners[column] = self.owners[column], row
            if loser >= 0:
                (todo if most > second else lost).append(loser)
        return lost

    def _augment(self, start: int) -> bool:
        """Find the row ``start`` a column by Dijkstra's algorithm; False if that would take too long."""
        worth, prices, owners = self.worth, self.prices, self.owners
        left = list(map(sub, worth[start], prices))
        most = max(left)
        # what a column's row would lose in all, less the column's price: far below that of any for those reached
        slack = [most - own for own in worth[start]]
        came_from = [-1] * self.size  # the column before, -1 at the path's beginning
        # twice what a column's row would lose, and one more if the column has an owner: of equal ways a free end first
        ways = [2 * (most - own) + (owner >= 0) for own, owner in zip(left, owners, strict=True)]
        done: dict[int, int] = {}
        while True:
            way = min(ways)
            end, length = ways.index(way), way // 2
            if owners[end] < 0:
                break
            if not self.scans:
                return False
            self.scans -= 1
            done[end] = length
            slack[end], ways[end] = -_FAR, _FAR
            line = worth[owners[end]]
            base = length + line[end] - prices[end]
            for column in [column for column, sum_ in enumerate(map(add, line, slack)) if sum_ > base]:
                slack[column] = base - line[column]
                came_from[column] = end
                ways[column] = 2 * (slack[column] + prices[column]) + (owners[column] >= 0)
        for column, distance in done.items():
            prices[column] += length - distance
        while end >= 0:
            before = came_from[end]
            owners[end] = start if before < 0 else owners[before]
            end = before
        return True


def _uncrossed(worth: Sequence[Sequence[int]], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs, with the columns of two rows exchanged where they cross and are worth as much the other way."""
    result: list[tuple[int, int]] = []
    for row, column in pairs:
        at = len(result)
        line = worth[row]
        own = line[column]
        while at and result[at - 1][1] > column:
            other, crossing = result[at - 1]
            if line[crossing] + worth[other][column] != own + worth[other][crossing]:
                break
            at -= 1
            result[at] = (other, column)
            column, own = crossing, line[crossing]
        result.append((row, column))
    return result
