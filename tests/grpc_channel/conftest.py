"""A small service with all four kinds of methods, its server, and a tape in memory."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
import trustme
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.rpc import error_details_pb2, status_pb2

from multitrack.errors import CassetteMiss
from multitrack.tape import interceptors
from multitrack.tape.active import activate
from multitrack.tape.conversation import RecordedConversation
from multitrack.tape.conversation_candidates import ConversationCandidates
from multitrack.tape.exchange import Passthrough, Replay, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Index
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.tape.miss import build_divergence
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.redaction.redactor import Redactor

PACKAGE = "multitrack.talk"
SERVICE = f"{PACKAGE}.Talk"


def _build_message_classes():
    """Return the classes ``Ask`` and ``Said``, as if compiled from a ``talk.proto``."""
    file = descriptor_pb2.FileDescriptorProto(name="multitrack/talk.proto", package=PACKAGE, syntax="proto3")
    for module in (any_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        file.dependency.append(module.DESCRIPTOR.name)
    mood = file.enum_type.add(name="Mood")
    for number, name in enumerate(("MOOD_UNSPECIFIED", "CALM", "CROSS")):
        mood.value.add(name=name, number=number)
    kinds = descriptor_pb2.FieldDescriptorProto
    ask = file.message_type.add(name="Ask")
    fields = (
        ("text", kinds.TYPE_STRING, None),
        ("number", kinds.TYPE_DOUBLE, None),
        ("small_number", kinds.TYPE_FLOAT, None),
        ("big_number", kinds.TYPE_INT64, None),
        ("blob", kinds.TYPE_BYTES, None),
        ("mood", kinds.TYPE_ENUM, f".{PACKAGE}.Mood"),
        ("detail", kinds.TYPE_MESSAGE, ".google.protobuf.Struct"),
        ("value", kinds.TYPE_MESSAGE, ".google.protobuf.Value"),
        ("sent_at", kinds.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
        ("patience", kinds.TYPE_MESSAGE, ".google.protobuf.Duration"),
        ("maybe", kinds.TYPE_MESSAGE, ".google.protobuf.StringValue"),
        ("attachment", kinds.TYPE_MESSAGE, ".google.protobuf.Any"),
        ("reply_to", kinds.TYPE_MESSAGE, f".{PACKAGE}.Ask"),
    )
    for number, (name, kind, type_name) in enumerate(fields, start=1):
        ask.field.add(name=name, number=number, type=kind, type_name=type_name, label=kinds.LABEL_OPTIONAL)
    entry = ask.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    ask.field.add(
        name="counts",
        number=20,
        type=kinds.TYPE_MESSAGE,
        type_name=f".{PACKAGE}.Ask.CountsEntry",
        label=kinds.LABEL_REPEATED,
    )
    said = file.message_type.add(name="Said")
    said.field.add(name="text", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    said.field.add(name="turn", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    said.field.add(
        name="detail",
        number=3,
        type=kinds.TYPE_MESSAGE,
        type_name=".google.protobuf.Struct",
        label=kinds.LABEL_OPTIONAL,
    )
    talk = file.service.add(name="Talk")
    arities = {"Once": (False, False), "Watch": (False, True), "Gather": (True, False), "Chat": (True, True)}
    for name, (asks, says) in arities.items():
        method = talk.method.add(name=name, client_streaming=asks, server_streaming=says)
        method.input_type, method.output_type = f".{PACKAGE}.Ask", f".{PACKAGE}.Said"
    descriptor_pool.Default().Add(file)
    found = descriptor_pool.Default().FindMessageTypeByName
    return [message_factory.GetMessageClass(found(f"{PACKAGE}.{name}")) for name in ("Ask", "Said")]


Ask, Said = _build_message_classes()


class TalkServer:
    """The server. ``hits`` counts calls; each release of ``go_on`` makes a paused stream send its next message."""

    def __init__(self, authority=None):
        self.hits = 0
        self.go_on = threading.Semaphore(0)
        self.metadata = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(12)
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        methods = {
            "Once": grpc.unary_unary_rpc_method_handler,
            "Watch": grpc.unary_stream_rpc_method_handler,
            "Gather": grpc.stream_unary_rpc_method_handler,
            "Chat": grpc.stream_stream_rpc_method_handler,
        }
        handlers = {
            name: kind(getattr(self, name.lower()), Ask.FromString, Said.SerializeToString)
            for name, kind in methods.items()
        }
        handler = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((handler,))
        if authority is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            certificate = authority.issue_cert("localhost")
            chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
            pair = (certificate.private_key_pem.bytes(), chain)
            self.port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self._server.start()

    def stop(self):
        for _ in range(20):
            self.go_on.release()
        self._server.stop(0).wait()
        self._threads.shutdown()

    def once(self, ask, context):
        self._count(context)
        self._fail_if_asked(ask, context)
        context.send_initial_metadata((("x-talk", "initial"), ("x-talk-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-cost", "3"), ("x-cost-bin", b"\x01\xfe")))
        if ask.text == "late failure":
            context.abort(grpc.StatusCode.ABORTED, "changed my mind")
        return Said(text=f"heard {ask.text}", turn=2**53 + 1)

    def watch(self, ask, context):
        self._count(context)
        self._fail_if_asked(ask, context)
        context.send_initial_metadata((("x-talk", "initial"),))
        context.set_trailing_metadata((("x-cost", "3"),))
        for turn in (1, 2, 3):
            if ask.text == "break" and turn == 3:
                fail_with_exhausted_quota(context)
            yield Said(text=f"{ask.text} {turn}", turn=turn)
            if ask.text == "pause":
                self.go_on.acquire()

    def gather(self, asks, context):
        self._count(context)
        texts = []
        for ask in asks:
            texts.append(ask.text)
            self._fail_if_asked(ask, context)
            if ask.text == "enough":
                break
        return Said(text=" and ".join(texts))

    def chat(self, asks, context):
        self._count(context)
        context.send_initial_metadata((("x-talk", "initial"),))
        context.set_trailing_metadata((("x-cost", "3"),))
        texts = []
        for ask in asks:
            self._fail_if_asked(ask, context)
            if ask.text == "hang up":
                return
            texts.append(ask.text)
            if ask.text != "listen":
                yield Said(text=f"heard {' and '.join(texts)}")
                texts = []

    def _count(self, context):
        with self._lock:
            self.hits += 1
            self.metadata.append(dict(context.invocation_metadata()))

    def _fail_if_asked(self, ask, context):
        if ask.text == "fail":
            fail_with_exhausted_quota(context)
        if ask.text.startswith("sleep"):
            self.go_on.acquire(timeout=2)
        if ask.text == "sleep and fail":
            fail_with_exhausted_quota(context)
        if ask.text.startswith("refuse "):
            fail_with_denied_permission(ask.text.removeprefix("refuse "), context)


def fail_with_exhausted_quota(context):
    """Fail with RESOURCE_EXHAUSTED and details, as Google's services do."""
    violation = error_details_pb2.QuotaFailure.Violation(subject="model", description="10 per minute")
    status = status_pb2.Status(code=8, message="Quotä\nexceeded 100%")
    status.details.add().Pack(error_details_pb2.QuotaFailure(violations=[violation]))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, status.message)


def fail_with_denied_permission(what, context):
    """Fail with PERMISSION_DENIED, and details that contain names and a secret; one detail has an unknown type."""
    resource, _, secret = what.partition(" with ")
    project = "/".join(resource.split("/")[:2])
    status = status_pb2.Status(code=7, message=f"no {project} with {secret}")
    status.details.add().Pack(error_details_pb2.ErrorInfo(metadata={"consumer": project, "key": secret}))
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/nobody.Knows", value=b"\n" + secret.encode()))
    metadata = (("grpc-status-details-bin", status.SerializeToString()), ("x-refused-bin", secret.encode()))
    context.set_trailing_metadata(metadata)
    context.abort(grpc.StatusCode.PERMISSION_DENIED, status.message)


class MemoryRecording:
    """Records one live response in memory, and checks the order of the calls."""

    def __init__(self, request, keep):
        self.request = request
        self.keep = keep
        self.chunks = []
        self.headers = None
        self.response = None
        self.error = None
        self.has_ended = threading.Event()

    def close(self):
        """End the recording like a tape that is closed while the response is still arriving."""
        self.record_end("left")
        self.record_chunk = self.record_end = lambda *_, **__: None

    def record_head(self, status, reason, headers):
        assert self.headers is None
        assert self.response is None
        self.status, self.reason, self.headers = status, reason, headers

    def record_chunk(self, chunk, *, continued=False):
        assert not continued
        assert self.headers is not None
        assert self.response is None
        self.chunks.append(chunk)

    def record_end(self, ending="complete", *, trailers=(), error=None):
        assert error is None
        assert self.response is None
        assert self.error is None
        if self.headers is None:
            assert ending == "left"
            assert trailers == ()
            self.response = Response(599, "", (), b"", "unanswered")
        else:
            body = b"".join(self.chunks)
            self.response = Response(self.status, self.reason, self.headers + trailers, body, ending)
        self.keep(self.response)
        self.has_ended.set()

    def record_failure(self, error, *, during=None):
        assert during is None
        assert self.headers is None
        assert self.error is None
        self.error = error
        self.has_ended.set()


class MemoryTape:
    """A router that records by URL and body, and replays its recordings first in, first out.

    It matches streaming requests as the real tape does.
    """

    def __init__(self):
        self.mode = "record"
        self.requests = []
        self.recordings = []
        self.violations = []
        self.allowed_hosts = []
        self.stored_responses = defaultdict(deque)
        self.conversations = []
        self._state = None
        self._redactor = Redactor({})
        self._lock = threading.Lock()

    def route(self, request):
        with self._lock:
            self.requests.append(request)
            if self.mode == "passthrough":
                return Passthrough()
            responses = self.stored_responses[request.url, request.body]
            if self.mode == "record":
                self.recordings.append(MemoryRecording(request, responses.append))
                return self.recordings[-1]
            if not responses:
                raise CassetteMiss(f"nothing recorded for {request.method} {request.url}")
            return Replay(responses.popleft())

    def route_stream(self, request):
        with self._lock:
            self.requests.append(request)
            if self.mode == "passthrough":
                return Passthrough()
            if self.mode == "record":
                self.recordings.append(MemoryRecording(request, lambda _: None))
                return self.recordings[-1]
            if self._state is None:
                recorded = [(r.request, r.response) for r in self.recordings if r.request.messages is not None]
                self._state = ReplayState(
                    Index(
                        Interaction(self._redactor.redact_request(request.with_sent_messages), response)
                        for request, response in recorded
                    )
                )
            entries = self._state.find_conversations(MatchingKey.from_request(request))
            if not entries:
                raise CassetteMiss(f"nothing recorded for {request.method} {request.url}")
            return RecordedConversation(
                request,
                ConversationCandidates(entries, self._state, MatchingKey.from_request),
                normalizer=RequestNormalizer(self._redactor),
                lock=self._lock,
                play=self._play,
                add_divergence=self._add_divergence,
            )

    def _play(self, interaction):
        self.conversations.append(interaction)
        return Replay(interaction.response)

    def _add_divergence(self, request, reason, found):
        self.violations.append(
            build_divergence(request, reason, found, path=Path("tape.yaml"), record_hint="pytest --record")
        )
        return self.violations[-1]

    def allows_connection(self, host, port):
        return (host, port) in self.allowed_hosts

    def add_violation(self, violation):
        self.violations.append(violation)

    @property
    def responses(self):
        return [recording.response for recording in self.recordings]


@pytest.fixture(autouse=True)
def _only_grpc_interceptors(monkeypatch):
    enabled = tuple(entry for entry in interceptors.INTERCEPTORS if entry[0] == "grpc")
    monkeypatch.setattr(interceptors, "INTERCEPTORS", enabled)


@pytest.fixture
def router():
    return MemoryTape()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(params=["insecure", "tls"])
def talk(starts_server, request, authority):
    server = TalkServer(authority if request.param == "tls" else None)
    server.secure = request.param == "tls"
    yield server
    server.stop()


@pytest.fixture
def connect(talk, authority):
    """A function that opens channels to the server. They are closed after the test."""
    channels = []

    def connect(**options):
        # otherwise all channels of a process to one address share a connection
        target, arguments = f"localhost:{talk.port}", [*options.items(), ("grpc.use_local_subchannel_pool", 1)]
        if talk.secure:
            root = authority.cert_pem.bytes()
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(root), options=arguments)
        else:
            channel = grpc.insecure_channel(target, options=arguments)
        channels.append(channel)
        return channel

    yield connect
    for channel in channels:
        channel.close()


class Stub:
    """The equivalent of a generated stub."""

    def __init__(self, channel):
        self.channel = channel
        serializers = (Ask.SerializeToString, Said.FromString)
        self.once = channel.unary_unary(f"/{SERVICE}/Once", *serializers)
        self.watch = channel.unary_stream(f"/{SERVICE}/Watch", *serializers)
        self.gather = channel.stream_unary(f"/{SERVICE}/Gather", *serializers)
        self.chat = channel.stream_stream(f"/{SERVICE}/Chat", *serializers)


@pytest.fixture
def stub(connect):
    return Stub(connect())


class SyncCaller:
    """Makes a call, given its kind and the texts to send, and returns its messages, status and metadata."""

    error = grpc.RpcError

    def __init__(self, connect, _):
        self._stub = Stub(connect())

    def __call__(self, kind, *texts, **options):
        asks = [Ask(text=text) for text in texts]
        method = getattr(self._stub, kind)
        try:
            if kind == "once":
                said, call = method.with_call(*asks, **options)
            elif kind == "gather":
                said, call = method.with_call(iter(asks), **options)
            else:
                call = method(*asks, **options) if kind == "watch" else method(iter(asks), **options)
                said = list(call)
        except grpc.RpcError as error:
            said, call = None, error
        metadata = call.initial_metadata(), call.trailing_metadata()
        return said, call.code(), call.details(), *(sorted(map(tuple, pairs or ())) for pairs in metadata)

    def close(self):
        pass


class AsyncCaller:
    """Does the same as ``SyncCaller`` on an asyncio channel, with its own event loop."""

    error = grpc.aio.AioRpcError

    def __init__(self, _, async_connect):
        self._runner = asyncio.Runner()
        self._channel = self._run(self._open_channel, async_connect)
        self._stub = Stub(self._channel)

    async def _open_channel(self, async_connect):
        return async_connect()

    def _run(self, function, *args, **kwargs):
        return self._runner.run(function(*args, **kwargs))

    def __call__(self, kind, *texts, **options):
        return self._run(self._call, kind, *texts, **options)

    async def _call(self, kind, *texts, **options):
        asks = [Ask(text=text) for text in texts]
        method = getattr(self._stub, kind)
        call = method(*asks, **options) if kind in ("once", "watch") else method(iter(asks), **options)
        said = None
        with suppress(grpc.aio.AioRpcError):
            said = [message async for message in call] if kind in ("watch", "chat") else await call
        metadata = await call.initial_metadata(), await call.trailing_metadata()
        return said, await call.code(), await call.details(), *(sorted(map(tuple, pairs)) for pairs in metadata)

    def close(self):
        self._run(self._channel.close)
        self._runner.close()


class SyncChat:
    """A bidirectional call, step by step."""

    def __init__(self, connect, _, **options):
        self._asks = queue.SimpleQueue()
        self._call = Stub(connect()).chat(iter(self._asks.get, None), **options)

    def send(self, text):
        self._asks.put(Ask(text=text))

    def close(self):
        self._asks.put(None)

    def receive(self):
        """Return the next text of the server. None at the end."""
        said = next(self._call, None)
        return said and said.text

    def cancel(self):
        return self._call.cancel()

    def read_status(self):
        return self._call.code(), [tuple(map(tuple, self._call.initial_metadata()))]

    def done(self):
        return self._call.done()

    def stop(self):
        # end the thread that waits for more requests
        self._asks.put(None)


class AsyncChat:
    """A bidirectional call on an asyncio channel, step by step, with its own event loop."""

    def __init__(self, _, async_connect, **options):
        self._runner = asyncio.Runner()
        self._runner.run(self._open(async_connect, options))

    async def _open(self, async_connect, options):
        self._channel = async_connect()
        self._call = Stub(self._channel).chat(**options)

    def send(self, text):
        self._runner.run(self._call.write(Ask(text=text)))

    def close(self):
        self._runner.run(self._call.done_writing())

    def receive(self):
        said = self._runner.run(self._call.read())
        return None if said is grpc.aio.EOF else said.text

    def cancel(self):
        return self._call.cancel()

    def read_status(self):
        return self._runner.run(self._read_status())

    async def _read_status(self):
        return await self._call.code(), [tuple(map(tuple, await self._call.initial_metadata()))]

    def done(self):
        return self._call.done()

    def stop(self):
        self._runner.run(self._channel.close())
        del self._call
        self._runner.close()


@pytest.fixture
def async_connect(talk, authority):
    """A function that opens asyncio channels to the server, on the running event loop."""

    def connect(**options):
        interceptors = options.pop("interceptors", None)
        target, arguments = f"localhost:{talk.port}", [*options.items(), ("grpc.use_local_subchannel_pool", 1)]
        keywords = {"options": arguments, "interceptors": interceptors}
        if not talk.secure:
            return grpc.aio.insecure_channel(target, **keywords)
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(authority.cert_pem.bytes()), **keywords)

    return connect


@pytest.fixture(params=[SyncCaller, AsyncCaller], ids=["sync", "async"])
def callers(request, connect, async_connect):
    """A function that creates callers, each with its own channel."""
    created = []

    def make():
        created.append(request.param(connect, async_connect))
        return created[-1]

    yield make
    for caller in created:
        caller.close()


@pytest.fixture
def caller(callers):
    return callers()


@pytest.fixture
def both_callers(connect, async_connect):
    created = {"sync": SyncCaller(connect, async_connect), "async": AsyncCaller(connect, async_connect)}
    yield created
    for caller in created.values():
        caller.close()


@pytest.fixture(params=[SyncChat, AsyncChat], ids=["sync", "async"])
def chat(request, connect, async_connect):
    """A function that starts bidirectional calls."""
    chats = []

    def start(**options):
        chats.append(request.param(connect, async_connect, **options))
        return chats[-1]

    yield start
    for opened in chats:
        opened.stop()


class RecordThenReplay:
    """Records a call, stops the server, and replays the call."""

    def __init__(self, router, talk):
        self._tape = router
        self._talk = talk

    def __call__(self, action):
        """Return the result of ``action()`` when it is recorded, and when it is replayed."""
        with activate(self._tape):
            recorded = action()
        # a call that its caller abandoned may still reach the server, so count after it has stopped
        self._talk.stop()
        hits = self._talk.hits
        self._tape.mode = "replay"
        with activate(self._tape):
            replayed = action()
        assert self._talk.hits == hits
        return recorded, replayed


@pytest.fixture
def record_then_replay(router, talk):
    return RecordThenReplay(router, talk)


@pytest.fixture(scope="session")
def talk_types():
    return Ask, Said


@pytest.fixture
def stub_of():
    return Stub


@pytest.fixture(scope="session")
def talk_failure():
    return fail_with_exhausted_quota
