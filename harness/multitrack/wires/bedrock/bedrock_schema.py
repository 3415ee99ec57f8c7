"""Convert JSON Schema to the subset that Bedrock's strict tools accept.

Anthropic's strict tools also accept this subset.

https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from __future__ import annotations

from typing import Any

from multitrack.wires.anthropic.anthropic_schema import AnthropicStrictSchemaWriter
from multitrack.wires.tool import ToolDefinition


def write_strict_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool`` as a schema for Bedrock's strict tools.

    Raises:
        TypeError: Bedrock's strict tools cannot express the parameters. The cases are the same as in
            ``anthropic_schema.write_strict_parameters``.
    """
    return _BedrockStrictSchemaWriter(tool).write_parameters()


class _BedrockStrictSchemaWriter(AnthropicStrictSchemaWriter):
    subset = "Bedrock's strict tools"
