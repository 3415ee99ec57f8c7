"""The assignment problem: rows to columns at the lowest total cost."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf


def assign(costs: Sequence[Sequence[float]]) -> list[int | None]:
    """The column of each row such that the sum of ``costs[row][column]`` is as low as can be.

    The matrix may have any shape; with more rows than columns the rows left over get None. Shortest augmenting
    paths (Jonker and Volgenant, https://doi.org/10.1007/BF02278710): each row takes the cheapest way to a free
    column under dual prices, so a matrix with few conflicts costs little more than reading it.
    """
    if not costs or not costs[0]:
        return [None] * len(costs)
    if len(costs) > len(costs[0]):
        rows: list[int | None] = [None] * len(costs)
        for column, row in enumerate(assign(list(zip(*costs, strict=True)))):
            if row is not None:
                rows[row] = column
        return rows
    width = len(costs[0])
    row_of: list[int | None] = [None] * width
    price = [0.0] * width
    for row in range(len(costs)):
        _augment(costs, row, row_of, price)
    result: list[int | None] = [None] * len(costs)
    for column, owner in enumerate(row_of):
        if owner is not None:
            result[owner] = column
    return result


def _augment(costs: Sequence[Sequence[float]], start: int, row_of: list[int | None], price: list[float]) -> None:
    """Give the row ``start`` a column: Dijkstra's algorithm on reduced costs, then one flip along the path."""
    width = len(price)
    distance = [inf] * width
    came_from: list[int | None] = [None] * width  # the column before, None at the path's beginning
    unreached = set(range(width))
    done: list[int] = []
    row, column, length = start, None, 0.0
    while True:
        line = costs[row]
        # an assigned column is tight: its row's dual is its cost less its price
        base = length - (line[column] - price[column] if column is not None else 0.0)
        best, nearest = inf, -1
        for candidate in unreached:
            reduced = base + line[candidate] - price[candidate]
            if reduced < distance[candidate]:
                distance[candidate] = reduced
                came_from[candidate] = column
            if distance[candidate] < best or (distance[candidate] == best and candidate < nearest):
                best, nearest = distance[candidate], candidate
        unreached.discard(nearest)
        owner = row_of[nearest]
        if owner is None:
            break
        done.append(nearest)
        row, column, length = owner, nearest, best
    for reached in done:
        price[reached] += distance[reached] - best
    free: int | None = nearest
    while free is not None:
        before = came_from[free]
        row_of[free] = start if before is None else row_of[before]
        free = before
