"""The assignment problem: pair rows with columns so that the total worth of the pairs is highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Table: TypeAlias = Sequence[Sequence[int]]
"""The worth of each pair, 0 or more, by row and column."""


def assign(worth: Table) -> list[tuple[int, int]]:
    """Pair rows with columns for the highest total worth. Each row and each column is in at most one pair.

    Pairs are in the order of their rows. A pair that is worth 0 is never returned. If several results are worth the
    same, return one in which neighbouring pairs do not cross.
    """
    if not worth or not worth[0]:
        return []
    is_transposed = len(worth) > len(worth[0])
    table = list(zip(*worth, strict=True)) if is_transposed else worth
    pairs = [(column, row) if is_transposed else (row, column) for column, row in _match_all_rows(table).items()]
    return _uncross(worth, [(row, column) for row, column in sorted(pairs) if worth[row][column]])


def _match_all_rows(worth: Table) -> dict[int, int]:
    """Match rows with columns so that the matched pairs have the highest total worth.

    The table must have at least as many columns as rows. A row of zeros stays unmatched.

    Implements the Hungarian algorithm with shortest augmenting paths (https://doi.org/10.1007/BF02278710), which
    gives each row a share and each column a price. The share and the price of a pair add up to at least the pair's
    worth. For a matched pair, they add up to exactly its worth.

    Returns:
        The row of each matched column.
    """
    shares = [max(row) for row in worth]
    prices = [0] * len(worth[0])
    rows: dict[int, int] = {}
    for start in [row for row, share in enumerate(shares) if share]:
        # free columns first, because the first of several nearest columns is chosen, and a free one ends the search
        unvisited = [column for column in range(len(prices)) if column not in rows] + sorted(rows)
        loss = [shares[start] + price - value for price, value in zip(prices, worth[start], strict=True)]
        previous_row = [start] * len(prices)
        visited: list[int] = []
        while (column := min(unvisited, key=loss.__getitem__)) in rows:
            unvisited.remove(column)
            visited.append(column)
            row = rows[column]
            loss_here, row_worth = loss[column] + shares[row], worth[row]
            for other in unvisited:
                if (found := loss_here + prices[other] - row_worth[other]) < loss[other]:
                    loss[other], previous_row[other] = found, row
        shares[start] -= loss[column]
        for passed in visited:
            prices[passed] += loss[column] - loss[passed]
            shares[rows[passed]] -= loss[column] - loss[passed]
        # along the path, each row takes the next column, and leaves its former column to the row before it
        column_of = {row: column for column, row in rows.items()}
        while (row := previous_row[column]) != start:
            rows[column], column = row, column_of[row]
        rows[column] = start
    return rows


def _uncross(worth: Table, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Swap the columns of crossing pairs if this does not change their total worth."""
    result: list[tuple[int, int]] = []
    for row, column in pairs:
        position = len(result)
        while position and result[position - 1][1] > column:
            other, crossing = result[position - 1]
            swapped = worth[row][crossing], worth[other][column]
            if not all(swapped) or sum(swapped) != worth[row][column] + worth[other][crossing]:
                break
            position -= 1
            result[position] = (other, column)
            column = crossing
        result.append((row, column))
    return result
