"""The client of the provider with ``response_model``. In the package, it would be ``multitrack/clients/toy.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import toysdk

from multitrack.clients.create_request import CreateRequest
from multitrack.extraction import StreamSource
from multitrack.tool_call import ToolCall
from multitrack.wires import create_stream_decoder


class ToyStreamSource(StreamSource):
    def __init__(self, stream: toysdk.ToyStream) -> None:
        super().__init__(create_stream_decoder("toy.stream"))
        self._stream = stream

    @property
    def raw(self) -> toysdk.ToyStream:
        return self._stream

    @property
    def usage(self) -> None:
        return None

    def chunks(self) -> Iterator[dict[str, Any]]:
        return iter(self._stream)

    def feed(self, chunk: dict[str, Any]) -> list[ToolCall]:
        return self.decoder.feed_chunk(chunk)

    def close(self) -> None:
        self._stream.close()


class ExtractingToyClient:
    """The client that ``from_toy`` would return."""

    def __init__(self, sdk: toysdk.ToyClient) -> None:
        self.sdk = sdk

    def create(self, talk: list[dict[str, Any]], response_model: Any, **arguments: Any) -> Any:
        request: CreateRequest[Any] = CreateRequest("toy", response_model, arguments)
        body = {"engine": "toy-1", "acts": request.tools, **request.arguments}
        if request.is_stream:
            with request.sending():
                stream = self.sdk.talk_in_pieces(talk=talk, **body)
            return request.read_stream(ToyStreamSource(stream))
        while True:
            with request.sending():
                raw = self.sdk.talk(talk=[*talk, *request.follow_up_messages], **body)
            extraction = request.handle_response(raw, raw=raw, usage=None)
            if extraction is not None:
                return extraction
