"""The wire format of xAI's gRPC API."""

from multitrack.wires.registry import register
from multitrack.wires.xai.xai_format import XaiFormat

register(XaiFormat())
