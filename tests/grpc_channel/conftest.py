"""A small service with methods of all four kinds, its server, and a tape held in memory."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
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
from multitrack.tape import seams
from multitrack.tape.conversation import RecordedConversation
from multitrack.tape.deck import playing
from multitrack.tape.exchange import Passthrough, Replay, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching import Index, Key
from multitrack.tape.miss import strayed
from multitrack.tape.redaction import Scrubber

PACKAGE = "multitrack.talk"
SERVICE = f"{PACKAGE}.Talk"


def _messages():
    """Build ``Ask`` and ``Said`` as a compiled ``talk.proto`` would have them."""
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
    descriptor_pool.Default().Add(file)
    found = descriptor_pool.Default().FindMessageTypeByName
    return [message_factory.GetMessageClass(found(f"{PACKAGE}.{name}")) for name in ("Ask", "Said")]


Ask, Said = _messages()


class Talk:
    """The server. ``hits`` counts calls; ``go_on`` lets a paused stream send its next message."""

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
        self._hit(context)
        self._refuse(ask, context)
        context.send_initial_metadata((("x-talk", "initial"), ("x-talk-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-cost", "3"), ("x-cost-bin", b"\x01\xfe")))
        if ask.text == "late failure":
            context.abort(grpc.StatusCode.ABORTED, "changed my mind")
        return Said(text=f"heard {ask.text}", turn=2**53 + 1)

    def watch(self, ask, context):
        self._hit(context)
        self._refuse(ask, context)
        context.send_initial_metadata((("x-talk", "initial"),))
        context.set_trailing_metadata((("x-cost", "3"),))
        for turn in (1, 2, 3):
            if ask.text == "break" and turn == 3:
                exhausted(context)
            yield Said(text=f"{ask.text} {turn}", turn=turn)
            if ask.text == "pause":
                self.go_on.acquire()

    def gather(self, asks, context):
        self._hit(context)
        texts = [ask.text for ask in asks]
        for text in texts:
            self._refuse(Ask(text=text), context)
        return Said(text=" and ".join(texts))

    def chat(self, asks, context):
        self._hit(context)
        for ask in asks:
            yield Said(text=f"heard {ask.text}")

    def _hit(self, context):
        with self._lock:
            self.hits += 1
            self.metadata.append(dict(context.invocation_metadata()))

    def _refuse(self, ask, context):
        if ask.text == "fail":
            exhausted(context)
        if ask.text == "sleep":
            self.go_on.acquire(timeout=2)


def exhausted(context):
    """End with RESOURCE_EXHAUSTED as Google's services do, with details."""
    violation = error_details_pb2.QuotaFailure.Violation(subject="model", description="10 per minute")
    status = status_pb2.Status(code=8, message="Quotä\nexceeded 100%")
    status.details.add().Pack(error_details_pb2.QuotaFailure(violations=[violation]))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, status.message)


class MemoryRecording:
    """Takes one live answer and holds a seam to the order in which it must be told."""

    def __init__(self, request, keep):
        self.request = request
        self.keep = keep
        self.chunks = []
        self.headers = None
        self.response = None
        self.error = None
        self.over = threading.Event()

    def close(self):
        """The tape ends while the answer is still coming: it takes what there is, and no more."""
        self.ended("left")
        self.received = self.ended = lambda *_, **__: None

    def began(self, status, reason, headers):
        assert self.headers is None
        assert self.response is None
        self.status, self.reason, self.headers = status, reason, headers

    def received(self, chunk, *, continued=False):
        assert not continued
        assert self.headers is not None
        assert self.response is None
        self.chunks.append(chunk)

    def ended(self, ending="complete", *, trailers=(), error=None):
        assert error is None
        assert self.response is None
        assert self.error is None
        if self.headers is None:
            assert (ending, trailers) == ("left", ())
            self.response = Response(599, "", (), b"", "unanswered")
        else:
            body = b"".join(self.chunks)
            self.response = Response(self.status, self.reason, self.headers + trailers, body, ending)
        self.keep(self.response)
        self.over.set()

    def failed(self, error, *, during=None):
        assert during is None
        assert self.headers is None
        assert self.error is None
        self.error = error
        self.over.set()


class MemoryTape:
    """A router that records by URL and body, or replays what it recorded, first in, first out; conversations as the
    tape itself."""

    def __init__(self):
        self.mode = "record"
        self.requests = []
        self.recordings = []
        self.refused = []
        self.answers = defaultdict(deque)
        self.conversations = []
        self._index = None
        self._scrubber = Scrubber({})
        self._lock = threading.Lock()

    def route(self, request):
        with self._lock:
            self.requests.append(request)
            if self.mode == "passthrough":
                return Passthrough()
            answers = self.answers[request.url, request.body]
            if self.mode == "record":
                self.recordings.append(MemoryRecording(request, answers.append))
                return self.recordings[-1]
            if not answers:
                raise CassetteMiss(f"nothing recorded for {request.method} {request.url}")
            return Replay(answers.popleft())

    def converse(self, request):
        with self._lock:
            self.requests.append(request)
            if self.mode == "passthrough":
                return Passthrough()
            if self.mode == "record":
                self.recordings.append(MemoryRecording(request, lambda _: None))
                return self.recordings[-1]
            if self._index is None:
                recorded = [Interaction(r.request.whole, r.response) for r in self.recordings if r.response]
                self._index = Index(interaction for interaction in recorded if interaction.request.body[:1] == b"[")
            entries = self._index.begun(Key.of(request))
            if not entries:
                raise CassetteMiss(f"nothing recorded for {request.method} {request.url}")
            return RecordedConversation(
                request,
                entries,
                placeholders=(),
                scrubber=self._scrubber,
                lock=self._lock,
                play=self._play,
                strayed=self._strayed,
            )

    def _play(self, interaction):
        self.conversations.append(interaction)
        return Replay(interaction.response)

    def _strayed(self, request, reason, found):
        self.refused.append(strayed(request, reason, found, path=Path("tape.yaml"), to_record="pytest --record"))
        return self.refused[-1]

    def refuse(self, violation):
        self.refused.append(violation)

    @property
    def responses(self):
        return [recording.response for recording in self.recordings]


@pytest.fixture(autouse=True)
def _only_this_seam(monkeypatch):
    monkeypatch.setattr(seams, "SEAMS", (("grpc", "grpc_channel"),))


@pytest.fixture
def router():
    return MemoryTape()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(params=["insecure", "tls"])
def talk(request, authority):
    server = Talk(authority if request.param == "tls" else None)
    server.secure = request.param == "tls"
    yield server
    server.stop()


@pytest.fixture
def connect(talk, authority):
    """Opens channels to the server; they are closed after the test."""
    channels = []

    def connect(**options):
        # named apart, or channels of one process to one address share a connection
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
    """What a generated stub would be."""

    def __init__(self, channel):
        coders = (Ask.SerializeToString, Said.FromString)
        self.once = channel.unary_unary(f"/{SERVICE}/Once", *coders)
        self.watch = channel.unary_stream(f"/{SERVICE}/Watch", *coders)
        self.gather = channel.stream_unary(f"/{SERVICE}/Gather", *coders)
        self.chat = channel.stream_stream(f"/{SERVICE}/Chat", *coders)


@pytest.fixture
def stub(connect):
    return Stub(connect())


class Replaying:
    """Records a call, then stops the server, and plays the call again."""

    def __init__(self, router, talk):
        self._tape = router
        self._talk = talk

    def __call__(self, action):
        """What ``action()`` gave live, and what it gives from the tape."""
        with playing(self._tape):
            recorded = action()
        hits = self._talk.hits
        self._talk.stop()
        self._tape.mode = "replay"
        with playing(self._tape):
            replayed = action()
        assert self._talk.hits == hits
        return recorded, replayed


@pytest.fixture
def record_then_replay(router, talk):
    return Replaying(router, talk)


@pytest.fixture(scope="session")
def talk_types():
    return Ask, Said


@pytest.fixture
def stub_of():
    return Stub


@pytest.fixture(scope="session")
def talk_failure():
    return exhausted
