"""The wire format of Amazon Bedrock's Converse API."""

from multitrack.wires.bedrock.bedrock_format import BedrockFormat
from multitrack.wires.registry import register

register(BedrockFormat())
