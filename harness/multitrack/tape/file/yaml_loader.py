"""Read YAML into plain values, without executing anything that a file contains.

In addition to the safe tags of YAML, the loader knows those that vcrpy wrote for texts, tuples, and request bodies that
were files or iterators: https://github.com/kevin1024/vcrpy/blob/master/vcr/serializers/yamlserializer.py
"""

from __future__ import annotations

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AliasError(yaml.constructor.ConstructorError):
    """The file uses an alias. A few aliases of aliases let a file of one kilobyte fill the memory."""


class Loader(_Base):  # type: ignore[misc]
    """The loader of all cassettes. Raises `AliasError`."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Return the value of ``node``. A node that was constructed before is an alias."""
        if node in self.constructed_objects:
            raise AliasError(problem="it uses an alias", problem_mark=node.start_mark)
        return super().construct_object(node, deep)


def _load_text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


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
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts)


for _tag, _constructor in {
    "str": _load_text,
    "unicode": _load_text,
    "tuple": _load_tuple,
    "object/new:_io.BytesIO": _load_file,
    "object/new:_io.StringIO": _load_file,
    "object:StringIO.StringIO": _load_python_2_file,
    "object/apply:builtins.iter": _load_iterator,
}.items():
    Loader.add_constructor(f"tag:yaml.org,2002:python/{_tag}", _constructor)
