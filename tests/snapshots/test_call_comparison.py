"""The pairing of calls, the result of the comparison, and the lines of its report."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.comparison import (
    AddedCall,
    CallComparison,
    ChangedCall,
    MovedCall,
    RemovedCall,
    UnchangedCall,
    compare_calls,
)
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.differences import ABSENT, CallDiffer, FieldChange
from multitrack.snapshots.expressions import Name, SnapshotCall, canonical_text
from multitrack.snapshots.parsing import parse_calls
from multitrack.snapshots.rendering import render_comparison

TORONTO = "Weather(location='Toronto', units='metric')"
DALLAS = "Weather(location='Dallas', units='imperial')"
SEARCH = "GoogleSearch(query='who won the super bowl')"


def between(expected: list[str], actual: list[str], *, ordered: bool = False) -> CallComparison:
    return compare_calls(parse_calls("\n".join(expected)), parse_calls("\n".join(actual)), ordered=ordered)


def call(text: str) -> SnapshotCall:
    return parse_calls(text)[0]


def test_the_same_calls_in_a_different_order_are_the_same():
    found = between([TORONTO, DALLAS, SEARCH], [SEARCH, TORONTO, DALLAS])
    assert found.is_same
    assert found == CallComparison(
        unchanged=(
            UnchangedCall(call(TORONTO), 0, 1),
            UnchangedCall(call(DALLAS), 1, 2),
            UnchangedCall(call(SEARCH), 2, 0),
        )
    )


def test_with_ordered_as_few_calls_as_possible_have_moved():
    found = between([TORONTO, DALLAS, SEARCH], [SEARCH, TORONTO, DALLAS], ordered=True)
    assert not found.is_same
    assert found.moved == (MovedCall(call(SEARCH), 2, 0),)
    assert [entry.call for entry in found.unchanged] == [call(TORONTO), call(DALLAS)]


def test_one_inserted_call_is_one_added_call():
    found = between([TORONTO, DALLAS], [SEARCH, TORONTO, DALLAS], ordered=True)
    assert found.added == (AddedCall(call(SEARCH), 0),)
    assert found.changed == ()
    assert found.moved == ()
    assert found.removed == ()


def test_equal_calls_are_counted():
    found = between([TORONTO, TORONTO, DALLAS], [TORONTO, DALLAS, DALLAS])
    assert found.removed == (RemovedCall(call(TORONTO), 1),)
    assert found.added == (AddedCall(call(DALLAS), 2),)
    assert len(found.unchanged) == 2


def test_a_changed_field_has_its_old_and_new_value():
    found = between([TORONTO, DALLAS], [TORONTO, DALLAS.replace("imperial", "metric")])
    (changed,) = found.changed
    assert changed == ChangedCall(
        call(DALLAS),
        call("Weather(location='Dallas', units='metric')"),
        1,
        1,
        (FieldChange("units", "imperial", "metric"),),
    )


def test_the_order_of_fields_and_keys_does_not_matter_but_types_do():
    assert between(["f(a=1, b={'x': 1, 'y': 2})"], ["f(b={'y': 2, 'x': 1}, a=1)"]).is_same
    assert not between(["f(a=1)"], ["f(a=1.0)"]).is_same
    assert not between(["f(a=1)"], ["f(a=True)"]).is_same


def test_calls_are_paired_so_that_the_fewest_fields_differ():
    found = between(["f(a=1, b=1, c=1)", "f(a=2, b=2, c=2)"], ["f(a=2, b=2, c=9)", "f(a=1, b=8, c=1)"], ordered=True)
    assert [(entry.old, entry.new, entry.is_moved) for entry in found.changed] == [(0, 1, True), (1, 0, False)]
    assert [entry.fields for entry in found.changed] == [(FieldChange("b", 1, 8),), (FieldChange("c", 2, 9),)]


def test_calls_with_similar_texts_are_paired():
    found = between(
        ["S(q='weather toronto')", "S(q='weather dallas')", "S(q='super bowl winner')"],
        ["S(q='who is the super bowl winner')", "S(q='weather in dallas')", "S(q='weather in toronto')"],
    )
    assert [(entry.old, entry.new) for entry in found.changed] == [(0, 2), (1, 1), (2, 0)]


def test_calls_of_one_tool_with_nothing_in_common_are_removed_and_added():
    found = between([TORONTO], [DALLAS])
    assert found.removed == (RemovedCall(call(TORONTO), 0),)
    assert found.added == (AddedCall(call(DALLAS), 0),)


def test_a_call_with_one_argument_is_changed_however_much_it_differs():
    (changed,) = between(["S(q='abc')"], ["S(q='xyz')"]).changed
    assert changed.fields == (FieldChange("q", "abc", "xyz"),)


def test_a_renamed_tool_is_a_changed_call():
    (changed,) = between([SEARCH], [SEARCH.replace("GoogleSearch", "Search")]).changed
    assert changed.fields == (FieldChange("", Name("GoogleSearch"), Name("Search")),)


def test_calls_without_arguments_are_not_a_renamed_tool():
    found = between(["f()"], ["g()"])
    assert len(found.removed) == 1
    assert len(found.added) == 1


def test_differences_are_located_at_the_innermost_field():
    (changed,) = between(
        ["Plan(a=Leg(start='x', end='y'), b=[1, {'c d': 2}], when=date(2024, 1, 1), tags={1}, n=[1], gone=1)"],
        ["Plan(a=Leg(start='x', end='z'), b=[1, {'c d': 3}], when=date(2024, 1, 2), tags={2}, n=[1, 2], new=2)"],
    ).changed
    assert [entry.path for entry in changed.fields] == ["a.end", "b[1]['c d']", "when", "tags", "n[1]", "gone", "new"]
    assert changed.fields[0] == FieldChange("a.end", "y", "z")
    assert changed.fields[2] == FieldChange(
        "when", SnapshotCall("date", (2024, 1, 1)), SnapshotCall("date", (2024, 1, 2))
    )
    assert changed.fields[5:] == (FieldChange("gone", 1, ABSENT), FieldChange("new", ABSENT, 2))


def test_no_calls_at_all():
    assert between([], []).is_same
    assert [entry.call for entry in between([], [SEARCH]).added] == [call(SEARCH)]
    assert [entry.call for entry in between([SEARCH], []).removed] == [call(SEARCH)]


fields = st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.sampled_from(["x", "y"])})
some_calls = st.lists(
    st.builds(lambda name, f: SnapshotCall(name, (), tuple(f.items())), st.sampled_from(["f", "g"]), fields), max_size=6
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(some_calls, some_calls, st.booleans())
def test_each_call_is_in_exactly_one_entry(expected, actual, ordered):
    found = compare_calls(expected, actual, ordered=ordered)
    pairs = (*found.unchanged, *found.changed, *found.moved)
    assert sorted([e.old for e in pairs] + [e.old for e in found.removed]) == list(range(len(expected)))
    assert sorted([e.new for e in pairs] + [e.new for e in found.added]) == list(range(len(actual)))
    if ordered:
        assert found.is_same == ([*map(canonical_text, expected)] == [*map(canonical_text, actual)])
    else:
        assert not found.moved
        assert found.is_same == (sorted(map(canonical_text, expected)) == sorted(map(canonical_text, actual)))


tolerant_calls = st.builds(
    lambda a, b: SnapshotCall("f", (), (("a", a), ("b", b))),
    st.sampled_from([1, 2, 1.5, 2.25, -0.0, True, 10**40, 10**40 + 1, float("inf"), SnapshotCall("Decimal", ("1.4",))]),
    st.lists(st.sampled_from([0, 0.5, 1.0]), max_size=2) | st.just((0.5,)),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(tolerant_calls, max_size=4), st.lists(tolerant_calls, max_size=4))
def test_with_a_tolerance_calls_are_the_same_if_any_pairing_makes_them_so(expected, actual):
    options = ComparisonOptions(tolerance=0.5)

    def same(old: SnapshotCall, new: SnapshotCall) -> bool:
        return next(CallDiffer(options, "f", {}).find_changes(old, new), None) is None

    possible = len(expected) == len(actual) and any(all(map(same, expected, order)) for order in permutations(actual))
    assert compare_calls(expected, actual, options=options).is_same is possible


def test_equal_calls_are_not_paired_if_a_tolerance_then_accepts_fewer_calls():
    def make_calls(*numbers):
        return [SnapshotCall("f", (), (("a", number), ("b", "x"))) for number in numbers]

    options = ComparisonOptions(tolerance=0.5)
    assert compare_calls(make_calls(1, 1.5), make_calls(1.5, 2), options=options).is_same
    assert compare_calls(make_calls(1, 1, 1, 1.5), make_calls(1, 1, 2, 1.5), options=options).is_same
    # calls that a tolerance does not concern stay paired
    found = compare_calls(
        [*make_calls(1, 1.5), SnapshotCall("f")], [SnapshotCall("f"), *make_calls(4)], options=options
    )
    assert [(entry.old, entry.new) for entry in found.unchanged] == [(2, 0)]


def test_calls_in_order_are_not_paired_crosswise_because_of_a_tolerance():
    def make_call(tool, number):
        return SnapshotCall(tool, (), (("a", number),))

    expected = [make_call("f", 4), make_call("g", 2), make_call("f", 5)]
    received = [make_call("f", 4), make_call("g", 2), make_call("f", 3)]
    found = compare_calls(expected, received, options=ComparisonOptions(ordered=True, tolerance=1))
    assert [(entry.old, entry.new) for entry in found.changed] == [(2, 2)]
    assert not found.moved


def test_two_numbers_are_compared_in_all_their_digits():
    def same(old: object, new: object, tolerance: object) -> bool:
        calls = [SnapshotCall("f", (), (("x", value),)) for value in (old, new)]
        return compare_calls(calls[:1], calls[1:], options=ComparisonOptions(tolerance=tolerance)).is_same

    assert same(0.1, 0.3, 0.2)
    assert same(10_000_000_000_000_003, 1e16, 3)
    assert not same(10**40, 10**40 + 1, 0.5)
    assert same(10**400, 10**400 + 1, 1)
    assert not same(10**400, 1.5, 1)
    assert not same(float("inf"), 1.0, 1)


@pytest.mark.parametrize("seed", range(60))
def test_an_assignment_has_the_highest_total_worth(seed):
    random = Random(seed)
    rows, columns = random.randint(1, 4), random.randint(1, 4)
    highest = random.choice([1, 3, 100])
    worth = [[random.choice([0, random.randint(0, highest)]) for _ in range(columns)] for _ in range(rows)]
    found = assign(worth)
    assert len({row for row, _ in found}) == len(found)
    assert len({column for _, column in found}) == len(found)
    assert all(worth[row][column] for row, column in found)
    padded = [[*line, *[0] * rows] for line in worth]
    best = max(
        sum(line[column] for line, column in zip(padded, chosen, strict=True))
        for chosen in permutations(range(columns + rows), rows)
    )
    assert sum(worth[row][column] for row, column in found) == best


@pytest.mark.parametrize("size", [1, 2, 50])
def test_an_assignment_of_equally_good_pairs_does_not_cross(size):
    assert assign([[7] * size for _ in range(size)]) == [(row, row) for row in range(size)]


def test_an_assignment_is_not_uncrossed_into_a_pair_worth_nothing():
    assert assign([[0, 1], [1, 2]]) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("worth", [[], [[]], [[0, 0]], [[0], [0]]])
def test_an_assignment_may_be_empty(worth):
    assert assign(worth) == []


def test_an_assignment_with_long_chains_comes_to_an_end():
    # each row would take the column of the next, in chains over all of them
    worth = [[row * column for column in range(60)] for row in range(60)]
    assert sorted(assign(worth)) == [(row, row) for row in range(1, 60)]


def test_the_lines_of_a_comparison():
    lines = render_comparison(
        between(
            [TORONTO, DALLAS, "Plan(stop='x', days=1)", "Book(id=1)"],
            [TORONTO, DALLAS.replace("imperial", "metric"), SEARCH, "Book(id=1)"],
        )
    )
    assert lines == [
        "changed: Weather(location='Dallas', units='imperial')",
        "    units: was 'imperial', now 'metric'",
        "removed: Plan(stop='x', days=1)",
        "added: GoogleSearch(query='who won the super bowl')",
        "2 calls unchanged",
    ]


def test_the_lines_of_moved_calls_count_from_one():
    assert render_comparison(between([TORONTO, DALLAS, SEARCH], [SEARCH, TORONTO, DALLAS], ordered=True)) == [
        "moved: GoogleSearch(query='who won the super bowl')",
        "    was call 3, now call 1",
        "2 calls unchanged",
    ]
    assert render_comparison(between(["f(a=1, b=1)", "g()", "h()"], ["g()", "h()", "f(a=1, b=2)"], ordered=True)) == [
        "changed: f(a=1, b=1)",
        "    b: was 1, now 2",
        "    was call 1, now call 3",
        "2 calls unchanged",
    ]


def test_the_lines_of_added_and_removed_fields_and_of_a_renamed_tool():
    assert render_comparison(between(["f(a=1, old=2)", "g(x=1)"], ["f(a=1, new=[3])", "h(x=1)"])) == [
        "changed: f(a=1, old=2)",
        "    old: removed, was 2",
        "    new: added, [3]",
        "changed: g(x=1)",
        "    tool: was g, now h",
    ]


def test_long_values_have_their_own_lines_and_a_long_call_is_shortened():
    old, new = "x" * 60, "y" * 60
    lines = render_comparison(between([f"f(id=1, text='{old}')", TORONTO], [f"f(id=1, text='{new}')", TORONTO]))
    assert lines == [
        f"changed: f(id=1, text='{old}')",
        "    text:",
        f"        was '{old}'",
        f"        now '{new}'",
        "1 call unchanged",
    ]
    headline = render_comparison(between([f"f(id=1, text='{old * 2}')"], ["f(id=1, text='')"]))[0]
    assert headline == "changed: " + f"f(id=1, text='{old * 2}')"[:97] + "..."
