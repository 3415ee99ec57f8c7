"""Convert JSON Schema to the subset that a provider accepts for strict tools.

The providers' subsets have most rules in common. A subclass for each provider adds the other rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from multitrack.wires.json_schema import (
    IGNORED_KEYWORDS,
    Schema,
    append_to_description,
    has_arbitrary_keys,
    json_type,
    omit_keys,
    simplify,
)
from multitrack.wires.tool import ToolDefinition


class StrictSchemaWriter(ABC):
    """A writer of ``tool``'s parameters in the subset of JSON Schema that a provider accepts for strict tools.

    Raises:
        TypeError: If the subset cannot express a parameter, such as a dictionary, a tuple of several types or a value
            of any type. The message contains the name of the tool and the path in its schema.
    """

    subset: ClassVar[str]
    """The name of the subset, for errors."""
    allows_recursion: ClassVar[bool]
    """Whether a model may contain itself."""

    def __init__(self, tool: ToolDefinition) -> None:
        self.tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})
        self._written_definitions: dict[str, dict[str, Any]] = {}
        self._open_references: list[str] = []

    def write_parameters(self) -> dict[str, Any]:
        written = self._write(self.tool.parameters, "$")
        if self._written_definitions:
            written["$defs"] = self._written_definitions
        return written

    def _write(self, original: Schema | bool, path: str) -> dict[str, Any]:
        schema = simplify(original)
        if schema.get("type") == "object" and has_arbitrary_keys(schema):
            raise self.unsupported("a dictionary with arbitrary keys", path)
        written: dict[str, Any] = {}
        notes: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "$ref":
                    written[keyword] = self._write_reference(value, path)
                case "anyOf":
                    written[keyword] = [self._write(option, path) for option in value]
                case "type":
                    written[keyword] = value
                case "enum" | "const":
                    values = [value] if keyword == "const" else value
                    if any(json_type(entry) is None for entry in values):
                        raise self.unsupported("an enumeration of lists or objects", path)
                    written = {**self.describe_values(values, path), **written, keyword: value}
                case "properties" | "required" | "additionalProperties" if schema.get("type") == "object":
                    pass
                case "items":
                    written[keyword] = self._write(value, f"{path}[]")
                case "prefixItems":
                    raise self.unsupported("a tuple of several types", path)
                case _ if self.accepts(keyword, value):
                    written[keyword] = value
                case _ if (note := self.describe(keyword, value)) is not None:
                    notes += note
                case _ if keyword in IGNORED_KEYWORDS or keyword.startswith("x-"):
                    pass
                case _:
                    raise self.unsupported(f"the keyword {keyword!r}", path)
        if schema.get("type") == "object":
            written |= self._write_object(schema, path)
        elif schema.get("type") == "array" and "items" not in written:
            raise self.unsupported("a list of values of any type", path)
        elif not written.keys() & {"$ref", "anyOf", "type", "enum", "const"}:
            raise self.unsupported("a value of any type", path)
        return _isolate_reference(append_to_description(written, notes))

    def _write_object(self, schema: Schema, path: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        properties = {name: self._write(field, f"{path}.{name}") for name, field in fields.items()}
        required = self.list_required(schema, list(fields))
        return {
            "properties": properties,
            **({"required": required} if required is not None else {}),
            "additionalProperties": False,
        }

    def _write_reference(self, reference: str, path: str) -> str:
        name = reference.removeprefix("#/$defs/")
        if name not in self._definitions:
            raise self.unsupported(f"the reference {reference!r}", path)
        if name in self._open_references and not self.allows_recursion:
            raise self.unsupported(f"{name}, which contains itself", path)
        if name not in self._written_definitions:
            # Register the name first, because a model may contain itself.
            self._written_definitions[name] = {}
            self._open_references.append(name)
            self._written_definitions[name] = self._write(self._definitions[name], path)
            self._open_references.pop()
        return reference

    @abstractmethod
    def accepts(self, keyword: str, value: Any) -> bool:
        """Return whether the provider's subset of JSON Schema has ``keyword`` and allows ``value`` for it."""

    @abstractmethod
    def describe(self, keyword: str, value: Any) -> list[str] | None:
        """Return notes for a schema's description, which express ``keyword`` and its ``value`` in words.

        Called if ``accepts`` returned False for ``keyword``. Returns None if no note can replace the keyword.
        """

    @abstractmethod
    def describe_values(self, values: Sequence[Any], path: str) -> dict[str, Any]:
        """Return the additional keywords that an enumeration requires."""

    @abstractmethod
    def list_required(self, schema: Schema, fields: list[str]) -> list[str] | None:
        """Return the fields to list as ``required`` in an object schema, or None to leave out ``required``."""

    def unsupported(self, what: str, path: str) -> TypeError:
        """Return the error for a schema that cannot be expressed in the subset named ``self.subset``."""
        return TypeError(
            f"{self.tool.name}: {self.subset} cannot express {what} (at {path}); "
            f"change the type of the field, or remove strict=True"
        )


def _isolate_reference(written: dict[str, Any]) -> dict[str, Any]:
    # a keyword next to $ref is refused, but a description next to anyOf is not
    if "$ref" not in written or len(written) == 1:
        return written
    return {"anyOf": [{"$ref": written["$ref"]}], **omit_keys(written, "$ref")}
