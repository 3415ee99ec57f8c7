"""Read YAML into plain values, without executing anything that a file contains.

In addition to YAML's safe tags, the loader knows the tags that vcrpy wrote for strings, tuples, and request bodies that
were files or iterators: https://github.com/kevin1024/vcrpy/blob/master/vcr/serializers/yamlserializer.py
"""

from __future__ import annotations

from typing import Any, NoReturn

import yaml

from multitrack.tape.file.value_checks import format_value

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AliasError(yaml.constructor.ConstructorError):
    """The YAML file uses an alias that the loader does not accept."""


_TAG = "tag:yaml.org,2002:"
_MERGE, _VALUE, _TEXT = (f"{_TAG}{name}" for name in ("merge", "value", "str"))

# the errors that PyYAML's and our own constructors raise for a value that does not fit its tag
_BAD_VALUE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


# Python's own limit for recursion. The C parser of PyYAML 6.0.1 has no limit: deeper YAML ends the process with a
# segmentation fault.
_DEEPEST = 1_000


class Loader(_Base):  # type: ignore[misc]
    """The loader for cassettes. For anything that the loader does not accept, it raises a PyYAML error with the line
    number.

    Repeated keys are rejected, because otherwise one of the two values would be used silently. Aliases are rejected,
    because Multitrack does not write any.
    """

    _depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Increase the depth for the node that the parser reads next. Raise an error if the depth is too large."""
        del current_index
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.constructor.ConstructorError(problem="nested too deeply", problem_mark=current_node.start_mark)

    def ascend_resolver(self) -> None:
        """Reduce the depth when the parser leaves a node.

        This method and ``descend_resolver`` do not call PyYAML's own versions, because those handle only path
        resolvers, and this loader has none.
        """
        self._depth -= 1

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Return the value of ``node``.

        If ``node`` was constructed before, it is an alias. ``_check_alias`` raises an error if the alias is not
        accepted.
        """
        if node in self.constructed_objects:
            self._check_alias(node)
        try:
            return super().construct_object(node, deep)
        except _BAD_VALUE as error:
            raise _explain(error, node) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return the dictionary for a YAML mapping. Raises an error for a repeated key."""
        try:
            found = super().construct_mapping(node, deep)
        except _BAD_VALUE as error:
            raise _explain(error, node) from error
        if len(found) < len(node.value):
            self._raise_repeated_key(node)
        return found

    def _raise_repeated_key(self, node: Any) -> NoReturn:
        keys = set()
        for key_node, _ in node.value:
            key = self.constructed_objects[key_node]
            if key in keys:
                problem = f"the key {format_value(key)} is repeated"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key_node.start_mark)
            keys.add(key)
        raise AssertionError(f"no key is repeated in {format_value(keys)}")

    def flatten_mapping(self, node: Any) -> None:
        """Refuse merge keys, because a small file could use them to fill the memory. No recorder writes merge keys."""
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                problem = "it uses YAML merge keys (<<), which no recorder writes"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key_node.start_mark)
            if key_node.tag == _VALUE:
                key_node.tag = _TEXT

    def _check_alias(self, node: Any) -> None:
        raise AliasError(problem="it uses YAML aliases, which Multitrack does not write", problem_mark=node.start_mark)


def _explain(error: Exception, node: Any) -> yaml.constructor.ConstructorError:
    kind = str(node.tag).rpartition(":")[2]
    reason = "nested too deeply" if isinstance(error, RecursionError) else f"not a valid value of the type {kind}"
    return yaml.constructor.ConstructorError(problem=reason, problem_mark=node.start_mark)


class ForeignLoader(Loader):
    """The loader for other recorders' cassettes, which can contain YAML aliases.

    PyYAML writes an alias if the same object is stored twice. For example, vcrpy stores the arguments that were
    passed to aiohttp, and a test can send the same payload several times.

    With aliases of aliases, a file of one kilobyte could fill the memory. The loader therefore raises ``AliasError``
    if the aliases expand to more than ``MAX_ALIASED_VALUES`` values.
    """

    MAX_ALIASED_VALUES = 1_000_000

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._sizes: dict[Any, int] = {}
        self._aliased_values = 0

    def _check_alias(self, node: Any) -> None:
        self._aliased_values += self._count_values(node)
        if self._aliased_values > self.MAX_ALIASED_VALUES:
            raise AliasError(problem="its YAML aliases expand to too many values", problem_mark=node.start_mark)

    def _count_values(self, node: Any) -> int:
        if node not in self._sizes:
            # a node that contains itself has infinitely many values
            self._sizes[node] = self.MAX_ALIASED_VALUES + 1
            children = node.value if isinstance(node, yaml.CollectionNode) else ()
            values = [value for child in children for value in (child if isinstance(child, tuple) else (child,))]
            self._sizes[node] = 1 + sum(map(self._count_values, values))
        return self._sizes[node]


def _load_text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


def _load_int(loader: Any, node: Any) -> Any:
    return node.value if ":" in node.value else loader.construct_yaml_int(node)


def _load_float(loader: Any, node: Any) -> Any:
    return node.value if ":" in node.value else loader.construct_yaml_float(node)


def _load_tuple(loader: Any, node: Any) -> Any:
    return loader.construct_sequence(node)


def _load_file(loader: Any, node: Any) -> Any:
    state = loader.construct_mapping(node, deep=True).get("state")
    return state[0] if state else b""


def _load_python_2_file(loader: Any, node: Any) -> Any:
    state = loader.construct_mapping(node, deep=True)
    return "".join([*state.get("buflist", ()), state.get("buf", "")])


def _load_iterator(loader: Any, node: Any) -> Any:
    args = loader.construct_mapping(node, deep=True).get("args")
    parts = args[0] if args else []
    if not isinstance(parts, list):
        raise ValueError(f"an iterator of {parts!r:.60}")
    if not all(isinstance(part, str | bytes) for part in parts):
        # the fields of a form, which aiohttp accepts as an iterable of pairs
        return parts
    return b"".join(part.encode() if isinstance(part, str) else part for part in parts)


for _tag, _constructor in {
    "str": _load_text,
    "unicode": _load_text,
    "tuple": _load_tuple,
    "object/new:_io.BytesIO": _load_file,
    "object/new:_io.StringIO": _load_file,
    "object:StringIO.StringIO": _load_python_2_file,
    "object/apply:builtins.iter": _load_iterator,
}.items():
    Loader.add_constructor(f"{_TAG}python/{_tag}", _constructor)

# PyYAML reads YAML 1.1, and quotes strings that look like these types. In YAML 1.2, which cassetter writes, an unquoted
# time such as 2020-10-01 or 12:30 is a string, and so are = and <<.
for _tag, _constructor in {
    "timestamp": _load_text,
    "int": _load_int,
    "float": _load_float,
    "value": _load_text,
    "merge": _load_text,
}.items():
    Loader.add_constructor(f"{_TAG}{_tag}", _constructor)
