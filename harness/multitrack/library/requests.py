"""Find what the provider behaviours need to know about a request: its format, its tools, and whether it ends with tool
results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.tape.exchange import Request
from multitrack.wires import registry
from multitrack.wires.gemini.gemini_schema import read_schema
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.tool import OfferedTool

_STREAMING_URL = re.compile(r"(?::streamGenerateContent|:streamRawPredict|/StreamGenerateContent|-stream)$")
# the path is checked for these formats, because requests to other APIs, such as embeddings, have the same fields
_PATHS = {"openai.chat": "/chat/completions", "openai.responses": "/responses"}
_SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema")
_RESULT_KEYS = ("toolResult", "functionResponse", "function_response")
_RESULT_TYPES = ("tool_result", "function_call_output", "custom_tool_call_output")


def read_document(request: Request) -> Mapping[str, Any]:
    """Return the parsed body of ``request``. Empty if the body is not a JSON object."""
    try:
        return as_object(json.loads(request.body))
    except (ValueError, RecursionError):
        return {}


def find_wire(request: Request) -> str | None:
    """Return the wire format of ``request``, one of ``catalogue.CELLS``. None if the request is in another format."""
    document = read_document(request)
    found = registry.recognize_request(document, request.url) if document else None
    path = request.url.partition("?")[0]
    if found is None or not path.endswith(_PATHS.get(found.name, "")):
        return None
    name = f"{found.name}.grpc" if request.is_grpc else found.name
    is_streamed = document.get("stream") is True or _STREAMING_URL.search(path) is not None
    return f"{name}.stream" if is_streamed else name


def ends_with_results(request: Request) -> bool:
    """Return whether the conversation in ``request`` ends with the results of tool calls."""
    document = read_document(request)
    found = registry.recognize_request(document, request.url) if document else None
    messages = as_objects(document.get(found.conversation_key)) if found is not None else []
    if not messages:
        return False
    last = messages[-1]
    if last.get("role") in ("tool", "function") or last.get("type") in _RESULT_TYPES:
        return True
    parts = [*as_objects(last.get("content")), *as_objects(last.get("parts"))]
    return any(part.get("type") in _RESULT_TYPES or not part.keys().isdisjoint(_RESULT_KEYS) for part in parts)


def read_tools(request: Request) -> list[OfferedTool]:
    """Return the functions that ``request`` lets the model call, in order."""
    document = read_document(request)
    configuration = as_object(document.get("toolConfig"))
    tools = [*_read_tools(document.get("tools")), *_read_tools(configuration.get("tools"))]
    choices = (document.get("tool_choice"), configuration.get("toolChoice"), configuration.get("functionCallingConfig"))
    names = {name for choice in choices for name in _list_chosen(as_object(choice))}
    return [tool for tool in tools if tool.name in names] or tools


def _list_chosen(choice: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the functions that a tool choice allows. Yields nothing if it allows all functions."""
    for fields in (choice, as_object(choice.get("function")), as_object(choice.get("tool"))):
        if (name := as_text(fields.get("name"))) is not None:
            yield name
    allowed = choice.get("allowedFunctionNames")
    yield from (name for name in (allowed if isinstance(allowed, list) else ()) if isinstance(name, str))


def _read_tools(value: object) -> Iterator[OfferedTool]:
    for tool in as_objects(value):
        name = as_text(tool.get("name"))
        schemas = [as_object(tool[key]) for key in _SCHEMA_KEYS if isinstance(tool.get(key), Mapping)]
        if name is not None and (schemas or tool.get("type", "function") == "function"):
            yield OfferedTool(name, _normalize_schema(schemas[0] if schemas else {}))
            continue
        # the API nests the function: in ``function``, in ``toolSpec``, or in a list of declarations
        for inner in tool.values():
            yield from _read_tools([inner] if isinstance(inner, Mapping) else inner)


def _normalize_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = as_object(schema["json"]) if isinstance(schema.get("json"), Mapping) else schema
    is_google = str(schema.get("type", "")).isupper()
    return (read_schema(schema) if is_google else schema) or {"type": "object", "properties": {}}
