"""Reads YAML into plain values, and never runs what a file says.

Beside what is safe in any YAML, it knows the tags that vcrpy wrote for texts, tuples, and request bodies that were
files or iterators: https://github.com/kevin1024/vcrpy/blob/master/vcr/serializers/yamlserializer.py
"""

from __future__ import annotations

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Aliased(yaml.constructor.ConstructorError):
    """An alias: a few of aliases of aliases make a file of one kilobyte fill the memory."""


class Loader(_Base):  # type: ignore[misc]
    """The loader of all tapes. Raises `Aliased`."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """The value of ``node``, of which there is one in each place but for aliases."""
        if node in self.constructed_objects:
            raise Aliased(problem="it uses an alias", problem_mark=node.start_mark)
        return super().construct_object(node, deep)


def _text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


def _tuple(loader: Any, node: Any) -> Any:
    return loader.construct_sequence(node)


def _file(loader: Any, node: Any) -> Any:
    state = loader.construct_mapping(node, deep=True).get("state")
    return state[0] if state else b""


def _file_of_python_2(loader: Any, node: Any) -> Any:
    state = loader.construct_mapping(node, deep=True)
    return "".join([*state.get("buflist", ()), state.get("buf", "")])


def _iterator(loader: Any, node: Any) -> Any:
    args = loader.construct_mapping(node, deep=True).get("args")
    parts = args[0] if args else []
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts)


for _tag, _constructor in {
    "str": _text,
    "unicode": _text,
    "tuple": _tuple,
    "object/new:_io.BytesIO": _file,
    "object/new:_io.StringIO": _file,
    "object:StringIO.StringIO": _file_of_python_2,
    "object/apply:builtins.iter": _iterator,
}.items():
    Loader.add_constructor(f"tag:yaml.org,2002:python/{_tag}", _constructor)
