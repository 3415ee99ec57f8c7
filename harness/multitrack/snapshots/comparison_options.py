"""Validate the options of ``calls_snapshot`` and ``assert_calls``, and apply them to values."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias, TypedDict, cast

from multitrack.errors import BadOption
from multitrack.snapshots.conversion import UnwritableValue, to_expression, unchanged_text
from multitrack.snapshots.expression_paths import UNREPLACED, Unreplaced, replace_parts
from multitrack.snapshots.expressions import Expression, RedactText, SnapshotCall
from multitrack.snapshots.field_patterns import FieldPattern, split_path
from multitrack.snapshots.matchers import Matcher

TextNormalizer: TypeAlias = "str | Callable[[str], str]"
ToolNames: TypeAlias = "str | type | Iterable[str | type]"

_TEXT_NORMALIZERS: Mapping[str, Callable[[str], str]] = {
    "case": str.casefold,
    "space": lambda text: " ".join(text.split()),
    "unicode": lambda text: unicodedata.normalize("NFKC", text),
}


# exact, because an int can have 4300 digits, and a float can be as small as 1e-324
_EXACT = Context(prec=10_000)


class ComparisonKeywords(TypedDict, total=False):
    """The options, all passed by keyword. A path is ``Weather.location``, ``*.created_at`` or ``stops[*].city``.

    Attributes:
        ordered: Compare the order of the calls. Default: False.
        subset: Accept calls that were received in addition to the expected ones. Default: False.
        subsequence: Compare the order of the calls, and accept other calls before, between and after them. The same
            as ``ordered=True, subset=True``. Default: False.
        only: The tools that are allowed to be called, as names or as model classes. A call to any other tool is a
            difference.
            Default: all tools.
        never: The tools that must not be called, as names or as model classes. Default: none.
        ids: Compare the ids of the calls. Default: False.
        ignore: Paths of values that are not compared. The snapshot shows ``...`` for these values.
        match: For each path, a type or an object with its own ``==`` (as in dirty-equals). The matcher is stored in
            the snapshot instead of the value. Alternatively, a function such as syrupy's ``path_type``.
        tolerance: The largest difference between two numbers that count as equal: a number, or a dictionary from path
            to number.
        text: How strings are normalized before they are compared: ``"case"``, ``"space"``, ``"unicode"``, a function,
            or several of these. A dictionary from path to normalization applies to parts of the calls.
    """

    ordered: bool
    subset: bool
    subsequence: bool
    only: ToolNames | None
    never: ToolNames | None
    ids: bool
    ignore: str | Iterable[str]
    match: Mapping[str, object] | Callable[..., object] | None
    tolerance: float | Decimal | Mapping[str, float | Decimal] | None
    text: TextNormalizer | Iterable[TextNormalizer] | Mapping[str, TextNormalizer | Iterable[TextNormalizer]] | None


class MatchError(TypeError):
    """A value does not fit the ``match`` option. The message consists of ``path`` and ``reason``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _PathSetting:
    """The value of an option for the paths that match a pattern, or for all paths if there is no pattern."""

    pattern: FieldPattern | None
    value: Any

    def matches(self, tool: str, path: str) -> bool:
        return self.pattern is None or self.pattern.matches(tool, path)


class ComparisonOptions:
    """The validated options.

    Args:
        caller: The name of the function or fixture that received the options, for messages.
        **options: See ``ComparisonKeywords``.

    Raises:
        BadOption: An option has a value that it does not accept.
        TypeError: There is no option with that name.
    """

    def __init__(self, caller: str = "a comparison", /, **options: Any) -> None:
        names = ComparisonKeywords.__annotations__
        for name in options:
            if name not in names:
                raise TypeError(f"{caller} has no option {name!r}; its options are {', '.join(names)}")
        is_subsequence = bool(options.get("subsequence"))
        self.ordered = is_subsequence or bool(options.get("ordered"))
        self.subset = is_subsequence or bool(options.get("subset"))
        self._only = None if options.get("only") is None else _as_tool_names(options["only"], "only")
        self._never = _as_tool_names(options.get("never"), "never")
        self.ids = bool(options.get("ids"))
        self._ignore = tuple(FieldPattern(path) for path in _as_tuple(options.get("ignore"), "ignore"))
        match = options.get("match")
        self._replace = match if callable(match) else None
        self._match = () if callable(match) else _by_path(match, Matcher, "match", is_global_allowed=False)
        self._tolerance = _by_path(options.get("tolerance"), _validate_tolerance, "tolerance")
        self._tolerances: dict[tuple[str, str], Decimal | None] = {}
        self._text = _by_path(options.get("text"), _make_normalizer, "text")
        self.is_exact = not self._tolerance
        """True if two values in calls from `normalize` must be written the same way to count as equal."""

    def ignoring(self, paths: Iterable[str]) -> ComparisonOptions:
        """Return a copy of these options that also ignores the values at ``paths``.

        Raises:
            BadOption: A path is not valid.
        """
        changed = copy(self)
        changed._ignore = (*self._ignore, *map(FieldPattern, paths))
        return changed

    @property
    def restricts_tools(self) -> bool:
        """True if ``only`` or ``never`` is set."""
        return self._only is not None or bool(self._never)

    def find_restriction(self, tool: str) -> str:
        """Return the option that forbids calls to ``tool``, with the option's value. Empty if there is none."""
        if tool in self._never:
            return f"never={_format_names(self._never)}"
        if self._only is not None and tool not in self._only:
            return f"only={_format_names(self._only)}"
        return ""

    def replacement_for(
        self, tool: str, path: str, value: object, redact_text: RedactText = unchanged_text
    ) -> Expression | Unreplaced:
        """Return the replacement for ``value`` in a snapshot: ``...`` for an ignored value, otherwise the matcher.

        Returns ``UNREPLACED`` if the value itself is stored.

        Raises:
            MatchError: The matcher does not accept the value.
        """
        setting = self._find_setting(tool, path)
        if isinstance(setting, Matcher):
            if not setting.fits(value):
                raise MatchError(path, f"{value!r} does not match {setting.node.text}")
            return setting.expression
        if setting is UNREPLACED and self._replace is not None:
            return self._call_replace(tool, path, value, redact_text)
        return setting

    def replace_values(self, call: SnapshotCall) -> SnapshotCall:
        """Return ``call`` with ``...`` in place of its ignored values, and matchers in place of its matched values.

        A snapshot that was written with other options may contain the values themselves.
        """

        def replace(_: Expression, path: str) -> Expression | Unreplaced:
            setting = self._find_setting(call.name, path)
            return setting.expression if isinstance(setting, Matcher) else setting

        return replace_parts(call, replace) if self._ignore or self._match else call

    def drop_ignored(self, call: SnapshotCall) -> SnapshotCall:
        """Return ``call`` without its ignored fields. The id is also dropped, unless ids are compared."""
        if not self.ids and call.id is not None:
            call = SnapshotCall(call.name, call.positional, call.keywords)
        return cast(SnapshotCall, _drop_ignored(call)) if self._ignore else call

    def normalize(self, call: SnapshotCall) -> SnapshotCall:
        """Return a call with its strings normalized for the comparison."""
        if not self._text:
            return call

        def replace(node: Expression, path: str) -> Expression | Unreplaced:
            return self.normalize_text(call.name, path, node) if isinstance(node, str) else UNREPLACED

        return replace_parts(call, replace)

    def normalize_text(self, tool: str, path: str, text: str) -> str:
        """Return ``text``, a string in a call, normalized for the comparison."""
        normalizer = _find(self._text, tool, path) if self._text else None
        return text if normalizer is None else cast(str, normalizer(text))

    def choose_stored(self, stored: SnapshotCall, received: SnapshotCall) -> SnapshotCall:
        """Return the call that an update writes if ``received`` counts as equal to ``stored``.

        Numbers and strings that count as equal keep their stored form.
        """
        if self.is_exact and not self._text:
            return received
        stored = self.replace_values(stored)
        return stored if self.ids else SnapshotCall(stored.name, stored.positional, stored.keywords)

    def find_range(self, tool: str, path: str, node: Expression) -> tuple[Decimal, Decimal] | None:
        """Return the smallest and the largest number that count as equal to the number ``node`` at ``path``.

        Returns None if no tolerance applies to ``path``, or if ``node`` is not a number.
        """
        key = tool, path
        if key not in self._tolerances:
            self._tolerances[key] = _find(self._tolerance, tool, path)
        tolerance = self._tolerances[key]
        if tolerance is None or (number := to_number(node)) is None:
            return None
        return _EXACT.subtract(number, tolerance), _EXACT.add(number, tolerance)

    def _find_setting(self, tool: str, path: str) -> Expression | Unreplaced | Matcher:
        if any(pattern.matches(tool, path) for pattern in self._ignore):
            return ...
        matcher = _find(self._match, tool, path)
        return UNREPLACED if matcher is None else cast(Matcher, matcher)

    def _call_replace(self, tool: str, path: str, value: object, redact_text: RedactText) -> Expression | Unreplaced:
        """Call the function that was passed as ``match``, such as syrupy's ``path_type``."""
        assert self._replace is not None
        steps = ((step, type(value)) for step in (tool, *split_path(path)))
        try:
            result = self._replace(data=value, path=tuple(steps))
        except TypeError as error:  # syrupy raises it for a value of a different type
            raise MatchError(path, str(error)) from None
        if result is value:
            return UNREPLACED
        try:
            return to_expression(result, redact_text=redact_text)
        except UnwritableValue:  # an object that is written as its repr, such as those that syrupy's functions return
            return Matcher(result).expression


def to_number(node: Expression) -> Decimal | None:
    """Return the value of a finite int, float or ``Decimal``.

    None for every other ``node``, because only numbers can have a tolerance.
    """
    if type(node) in (int, float):
        text = repr(node)
    elif isinstance(node, SnapshotCall) and node.name == "Decimal" and len(node.positional) == 1:
        text = str(node.positional[0])
    else:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _drop_ignored(node: Expression) -> Expression:
    if isinstance(node, SnapshotCall):
        keywords = tuple((name, _drop_ignored(item)) for name, item in node.keywords if item is not ...)
        return SnapshotCall(node.name, tuple(map(_drop_ignored, node.positional)), keywords, node.id)
    if isinstance(node, dict):
        return {key: _drop_ignored(item) for key, item in node.items() if item is not ...}
    if isinstance(node, (list, tuple)):
        return type(node)(map(_drop_ignored, node))
    return node


def _find(settings: tuple[_PathSetting, ...], tool: str, path: str) -> Any:
    return next((setting.value for setting in settings if setting.matches(tool, path)), None)


def _by_path(
    option: Any, make: Callable[[Any], Any], name: str, *, is_global_allowed: bool = True
) -> tuple[_PathSetting, ...]:
    if option is None:
        return ()
    if isinstance(option, Mapping):
        return tuple(_PathSetting(FieldPattern(path), make(value)) for path, value in option.items())
    if not is_global_allowed:
        raise BadOption(f"{name}={option!r}: pass a mapping of paths, such as {{'*.created_at': datetime}}")
    return (_PathSetting(None, make(option)),)


def _validate_tolerance(option: object) -> Decimal:
    if isinstance(option, (int, float, Decimal)) and not isinstance(option, bool) and option >= 0:
        return Decimal(str(option))
    raise BadOption(f"tolerance={option!r}: pass zero or a positive number, or a mapping of paths to numbers")


def _make_normalizer(option: object) -> Callable[[str], str]:
    if callable(option):
        return cast("Callable[[str], str]", option)
    if isinstance(option, str):
        if option not in _TEXT_NORMALIZERS:
            names = ", ".join(map(repr, _TEXT_NORMALIZERS))
            raise BadOption(f"text={option!r}: pass {names}, a function, or several of these")
        return _TEXT_NORMALIZERS[option]
    steps = [_make_normalizer(step) for step in _as_tuple(option, "text")]

    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normalize


def _as_tool_names(option: Any, name: str) -> tuple[str, ...]:
    items = (option,) if option is None or isinstance(option, (str, type)) else option
    if not isinstance(items, Iterable):
        raise BadOption(f"{name}={option!r}: pass the name or the class of a tool, or a list of these")
    tools = tuple(item.__name__ if isinstance(item, type) else item for item in items if item is not None)
    if not all(isinstance(tool, str) for tool in tools):
        raise BadOption(f"{name}={option!r}: pass the name or the class of a tool, or a list of these")
    return tools


def _format_names(tools: tuple[str, ...]) -> str:
    return repr(tools[0] if len(tools) == 1 else list(tools))


def _as_tuple(option: Any, name: str) -> tuple[Any, ...]:
    if option is None:
        return ()
    if isinstance(option, str):
        return (option,)
    if isinstance(option, Iterable):
        return tuple(option)
    raise BadOption(f"{name}={option!r}: pass a string or several strings")
