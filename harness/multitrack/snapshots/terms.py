"""On which terms two sets of calls are compared: the options of ``calls_snapshot`` and ``assert_calls``."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias, TypedDict, cast

from multitrack.errors import BadOption
from multitrack.snapshots.fieldpaths import FieldPath, steps_of
from multitrack.snapshots.literals import (
    KEPT,
    Call,
    Kept,
    Plain,
    Scrub,
    UnwritableValue,
    plain,
    rewritten,
    unchanged_text,
)
from multitrack.snapshots.matchers import Matcher

Normal: TypeAlias = "str | Callable[[str], str]"

_NORMAL: Mapping[str, Callable[[str], str]] = {
    "case": str.casefold,
    "space": lambda text: " ".join(text.split()),
    "unicode": lambda text: unicodedata.normalize("NFKC", text),
}


# an int has up to 4300 digits, and a float is as small as 1e-324
_EXACTLY = Context(prec=10_000)


class Options(TypedDict, total=False):
    """The options, each of them by keyword. A path is ``Weather.location``, ``*.created_at`` or ``stops[*].city``.

    ``ordered``: the order of the calls counts. ``ids``: their ids count. ``ignore``: paths whose values play no part;
    they are written as ``...``. ``match``: for paths, a type or an object whose ``==`` decides (dirty-equals), which
    is written in the place of the value; or a function such as syrupy's ``path_type``. ``tolerance``: by how much two
    numbers may differ and be the same, everywhere or for paths. ``text``: how texts are made alike before they are
    compared, everywhere or for paths: ``"case"``, ``"space"``, ``"unicode"``, a function, or several of these.
    """

    ordered: bool
    ids: bool
    ignore: str | Iterable[str]
    match: Mapping[str, object] | Callable[..., object] | None
    tolerance: float | Decimal | Mapping[str, float | Decimal] | None
    text: Normal | Iterable[Normal] | Mapping[str, Normal | Iterable[Normal]] | None


class Refused(TypeError):
    """A value does not fit what was said to ``match`` it. ``path`` and ``reason`` are what the message is made of."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _For:
    """What an option says for the paths that a pattern stands for; for all of them without one."""

    where: FieldPath | None
    what: Any

    def matches(self, tool: str, path: str) -> bool:
        return self.where is None or self.where.matches(tool, path)


class Terms:
    """The options, checked. Raises `BadOption` for a value that an option does not take, `TypeError` for a name that
    none has; ``of`` is who was asked."""

    def __init__(self, of: str = "a comparison", /, **options: Any) -> None:
        known = Options.__annotations__
        for name in options:
            if name not in known:
                raise TypeError(f"{of} has no option {name!r}; it has {', '.join(known)}")
        self.options = options
        self.ordered = bool(options.get("ordered"))
        self.ids = bool(options.get("ids"))
        self._ignore = tuple(FieldPath(path) for path in _several(options.get("ignore"), "ignore"))
        match = options.get("match")
        self._replace = match if callable(match) else None
        self._match = () if callable(match) else _by_path(match, Matcher, "match", everywhere=False)
        self._tolerance = _by_path(options.get("tolerance"), _tolerance, "tolerance")
        self._tolerances: dict[tuple[str, str], float | Decimal | None] = {}
        self._text = _by_path(options.get("text"), _normal, "text")
        self.exact = not self._tolerance
        """Whether two values are the same only if they are written the same, once they are `seen`."""

    def stand(self, tool: str, path: str, value: object, scrub: Scrub = unchanged_text) -> Plain | Kept:
        """What is written for the value of a call: ``...``, the text of what it matches, or itself.

        Raises `Refused` where it matches not.
        """
        stands = self._placeholder(tool, path)
        if not isinstance(stands, Matcher):
            return stands if self._replace is None or stands is not KEPT else self._replaced(tool, path, value, scrub)
        if not stands.fits(value):
            raise Refused(path, f"{value!r} does not match {stands.expected.text}")
        return stands.node

    def stored(self, call: Call) -> Call:
        """A call of a snapshot, as these terms would have written it: what is not compared does not count there."""

        def stand(_: Plain, path: str) -> Plain | Kept:
            stands = self._placeholder(call.name, path)
            return stands.node if isinstance(stands, Matcher) else stands

        return rewritten(call, stand) if self._ignore or self._match else call

    def counted(self, call: Call) -> Call:
        """A call as far as it counts: without an id that does not, and without ignored fields."""
        if not self.ids and call.id is not None:
            call = Call(call.name, call.positional, call.keywords)
        return cast(Call, _without_ignored(call)) if self._ignore else call

    def seen(self, call: Call) -> Call:
        """A call that `counted` gave, with normal texts."""
        if not self._text:
            return call

        def normal(node: Plain, path: str) -> Plain | Kept:
            return self.normal(call.name, path, node) if isinstance(node, str) else KEPT

        return rewritten(call, normal)

    def normal(self, tool: str, path: str, text: str) -> str:
        """A text of a call as it is compared."""
        normal = _first(self._text, tool, path)
        return text if normal is None else cast(str, normal(text))

    def kept(self, stored: Call, received: Call) -> Call:
        """What a snapshot holds on for two calls that are the same: the numbers and texts that it had."""
        if self.exact and not self._text:
            return received
        kept = self.stored(stored)
        return kept if self.ids else Call(kept.name, kept.positional, kept.keywords)

    def tolerance(self, tool: str, path: str) -> float | Decimal | None:
        """By how much two numbers at that path may differ."""
        place = tool, path
        if place not in self._tolerances:
            self._tolerances[place] = _first(self._tolerance, tool, path)
        return self._tolerances[place]

    def _placeholder(self, tool: str, path: str) -> Plain | Kept | Matcher:
        if any(where.matches(tool, path) for where in self._ignore):
            return ...
        matcher = _first(self._match, tool, path)
        return KEPT if matcher is None else cast(Matcher, matcher)

    def _replaced(self, tool: str, path: str, value: object, scrub: Scrub) -> Plain | Kept:
        """What a function such as syrupy's ``path_type`` makes of a value."""
        assert self._replace is not None
        steps = ((step, type(value)) for step in (tool, *steps_of(path)))
        try:
            result = self._replace(data=value, path=tuple(steps))
        except TypeError as error:  # what syrupy raises for a value of another type
            raise Refused(path, str(error)) from None
        if result is value:
            return KEPT
        try:
            return plain(result, scrub=scrub)
        except UnwritableValue:  # syrupy's word for "write it like this"
            return Matcher(result).node


def number(node: Plain) -> Decimal | None:
    """The number that a tolerance applies to: of a finite int, float or ``Decimal``, and of no bool."""
    if type(node) in (int, float):
        text = repr(node)
    elif isinstance(node, Call) and node.name == "Decimal" and len(node.positional) == 1:
        text = str(node.positional[0])
    else:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def reach(of: Decimal, tolerance: float | Decimal) -> tuple[Decimal, Decimal]:
    """The least and the greatest number that is the same as ``of``, in the digits that both are written with."""
    far = Decimal(str(tolerance))
    return _EXACTLY.subtract(of, far), _EXACTLY.add(of, far)


def _without_ignored(node: Plain) -> Plain:
    if isinstance(node, Call):
        keywords = tuple((name, _without_ignored(item)) for name, item in node.keywords if item is not ...)
        return Call(node.name, tuple(map(_without_ignored, node.positional)), keywords, node.id)
    if isinstance(node, dict):
        return {key: _without_ignored(item) for key, item in node.items() if item is not ...}
    if isinstance(node, (list, tuple)):
        return type(node)(map(_without_ignored, node))
    return node


def _first(entries: tuple[_For, ...], tool: str, path: str) -> Any:
    return next((entry.what for entry in entries if entry.matches(tool, path)), None)


def _by_path(given: Any, make: Callable[[Any], Any], option: str, *, everywhere: bool = True) -> tuple[_For, ...]:
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return tuple(_For(FieldPath(path), make(what)) for path, what in given.items())
    if not everywhere:
        raise BadOption(f"{option}={given!r}: takes a mapping of paths, such as {{'*.created_at': datetime}}")
    return (_For(None, make(given)),)


def _tolerance(given: object) -> float | Decimal:
    if isinstance(given, (int, float, Decimal)) and not isinstance(given, bool) and given >= 0:
        return given
    raise BadOption(f"tolerance={given!r}: takes a number from 0 on, or a mapping of paths to numbers")


def _normal(given: object) -> Callable[[str], str]:
    if callable(given):
        return cast("Callable[[str], str]", given)
    if isinstance(given, str):
        if given not in _NORMAL:
            raise BadOption(f"text={given!r}: takes {', '.join(map(repr, _NORMAL))}, a function, or several of these")
        return _NORMAL[given]
    steps = [_normal(step) for step in _several(given, "text")]

    def normal(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normal


def _several(given: Any, option: str) -> tuple[Any, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Iterable):
        return tuple(given)
    raise BadOption(f"{option}={given!r}: takes one text or several")
