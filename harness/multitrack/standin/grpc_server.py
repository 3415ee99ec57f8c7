"""The gRPC server, over TLS: Vertex AI's GenerateContent, unary and streamed, in v1 and v1beta1, and xAI's chat API."""

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
from multitrack.standin.vertex.generate_content import error_message, error_status

_THREADS = 32
# the methods that stream their responses
_STREAMS = ("/StreamGenerateContent", "/GetCompletionChunk")

if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[bytes, bytes]
else:
    _Handler = grpc.GenericRpcHandler


class GrpcServer:
    """A gRPC server on a loopback port. It runs as soon as it is created.

    Args:
        provider: The provider that answers the calls.
        key_and_chain: The private key and the certificate chain for TLS, as PEM.
    """

    def __init__(self, provider: Provider, key_and_chain: tuple[bytes, bytes]) -> None:
        self._hosts_by_port: dict[int, str] = {}
        self._stopping = Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="standin grpc")
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([_MethodHandler(provider, self._hosts_by_port, self._stopping)])
        self.port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([key_and_chain]))
        self._server.start()

    @contextmanager
    def register_host(self, host: str, port: int) -> Iterator[None]:
        """Within the block, treat the connection from local port ``port`` as a connection to ``host``."""
        self._hosts_by_port[port] = host
        try:
            yield
        finally:
            del self._hosts_by_port[port]

    def stop(self) -> None:
        """End all calls, and wait for the server's threads to end."""
        self._stopping.set()
        self._server.stop(grace=None).wait()
        self._threads.shutdown()


class _MethodHandler(_Handler):
    """A handler for all gRPC methods. Methods are found by their full names, so no generated service is needed."""

    def __init__(self, provider: Provider, hosts_by_port: dict[int, str], stopping: Event) -> None:
        self._provider = provider
        self._hosts_by_port = hosts_by_port
        self._stopping = stopping

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return the handler for the called method. The handler receives and returns serialized messages."""

        def stream(content: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._handle_call(details.method, content, context)

        def unary(content: bytes, context: grpc.ServicerContext) -> bytes:
            return b"".join(stream(content, context))

        if details.method.endswith(_STREAMS):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _handle_call(self, method: str, content: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = tuple((name, _encode_metadata_value(value)) for name, value in context.invocation_metadata())
        host = self._hosts_by_port.get(int(context.peer().rpartition(":")[2]))
        call = self._provider.parse_grpc(method, content, metadata, host)
        reply = self._provider.reply_grpc(call)
        replied = Event()

        def log_if_abandoned() -> None:
            if not replied.is_set():
                self._provider.abandoned.add(call)

        def is_abandoned() -> bool:
            return not context.is_active() or self._stopping.is_set()

        context.add_callback(log_if_abandoned)
        self._stopping.wait(reply.delay)
        context.send_initial_metadata(reply.metadata)
        for position, message in enumerate(reply.messages):
            self._stopping.wait(reply.chunk_delay if position else 0)
            if not all(self._provider.gates.wait(gate, is_abandoned) for gate in message.gates):
                if is_abandoned():
                    return
                replied.set()
                context.abort(grpc.StatusCode.UNAVAILABLE, f"no test opened the gate {', '.join(message.gates)}")
            if position == reply.fails_after:
                break
            yield message.content
        replied.set()
        if reply.error is not None:
            _abort(context, reply)


def _encode_metadata_value(value: str | bytes) -> str:
    """Return a metadata value as it is sent. The values of ``-bin`` keys are base64."""
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
