"""OpenAI's wire formats, which many other providers also accept."""

from multitrack.wires.openai.chat_format import ChatFormat
from multitrack.wires.openai.responses_format import ResponsesFormat
from multitrack.wires.registry import register

register(ChatFormat())
register(ResponsesFormat())
