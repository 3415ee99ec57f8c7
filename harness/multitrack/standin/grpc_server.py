"""Vertex AI's PredictionService over gRPC with TLS: GenerateContent, plain and streamed, v1 and v1beta1."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

import grpc

from multitrack.standin.provider import Provider
from multitrack.standin.reply import GrpcReply
from multitrack.standin.vertex import grpc as vertex_grpc
from multitrack.standin.vertex.generate_content import error_message, error_status

_THREADS = 32

if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[bytes, bytes]
else:
    _Handler = grpc.GenericRpcHandler


class GrpcServer:
    """A gRPC server on a loopback port, running from its creation. ``key_and_chain`` are PEM, for TLS."""

    def __init__(self, provider: Provider, key_and_chain: tuple[bytes, bytes]) -> None:
        self._origins: dict[int, str] = {}
        self._stopping = Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="standin grpc")
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([_Methods(provider, self._origins, self._stopping)])
        self.port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([key_and_chain]))
        self._server.start()

    @contextmanager
    def opened_for(self, host: str, port: int) -> Iterator[None]:
        """While it lasts, the connection from the local ``port`` was opened for ``host``."""
        self._origins[port] = host
        try:
            yield
        finally:
            del self._origins[port]

    def stop(self) -> None:
        """End all calls, and wait until the server's threads have ended."""
        self._stopping.set()
        self._server.stop(grace=None).wait()
        self._threads.shutdown()


class _Methods(_Handler):
    """Every method, by its full name, so that no generated service is imported."""

    def __init__(self, provider: Provider, origins: dict[int, str], stopping: Event) -> None:
        self._provider = provider
        self._origins = origins
        self._stopping = stopping

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of the method called, which takes and gives the bytes on the wire."""

        def stream(content: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._call(details.method, content, context)

        def unary(content: bytes, context: grpc.ServicerContext) -> bytes:
            return b"".join(stream(content, context))

        if details.method.endswith("/StreamGenerateContent"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _call(self, method: str, content: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = tuple((name, _text(value)) for name, value in context.invocation_metadata())
        origin = self._origins.get(int(context.peer().rpartition(":")[2]))
        call = vertex_grpc.received(method, content, metadata, origin)
        reply = self._provider.grpc(call)
        answered = Event()

        def ended() -> None:
            if not answered.is_set():
                self._provider.abandoned.add(call)

        def left() -> bool:
            return not context.is_active() or self._stopping.is_set()

        context.add_callback(ended)
        self._stopping.wait(reply.delay)
        context.send_initial_metadata(reply.metadata)
        for position, message in enumerate(reply.messages):
            self._stopping.wait(reply.chunk_delay if position else 0)
            if not all(self._provider.gates.passed(gate, left) for gate in message.gates):
                if left():
                    return
                answered.set()
                context.abort(grpc.StatusCode.UNAVAILABLE, f"nobody opened {', '.join(message.gates)}")
            if position == reply.fails_after:
                break
            yield message.content
        answered.set()
        if reply.error is not None:
            _abort(context, reply)


def _text(value: str | bytes) -> str:
    """A metadata value as it travels: those of ``-bin`` keys in base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _abort(context: grpc.ServicerContext, reply: GrpcReply) -> None:
    error = reply.error
    assert error is not None
    code, message = grpc.StatusCode[error_status(error)], error_message(error)
    if error.details:
        from google.protobuf.json_format import ParseDict
        from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # noqa: F401

        number = code.value[0]
        status = ParseDict(
            {"code": number, "message": message, "details": [dict(detail) for detail in error.details]},
            status_pb2.Status(),
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString(deterministic=True)),))
    context.abort(code, message)
