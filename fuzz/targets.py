"""The targets of the fuzzer. Each feeds one input to a part of Multitrack, and checks what must hold for any input.

If the input fails, a target raises an ``AssertionError``, or passes on an error that the part must not raise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from zlib import crc32

from multitrack import wires
from multitrack.errors import CassetteCorrupt
from multitrack.reporting import cassette_text
from multitrack.tape.exchange import Headers, Replay, Request, Response
from multitrack.tape.file import cassette_reader
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.recordings import PendingRecordings
from multitrack.tape.foreign_redaction import make_foreign_redactor
from multitrack.tape.interceptors import http1
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import Settings
from multitrack.tool_call import ToolCall
from multitrack.wires import registry
from multitrack.wires.lenient_json import as_objects

PATH = Path("cassette.yaml")
SECRET = "sk-proj-0123456789abcdefghijABCDEFGHIJ"
ENVIRONMENT = {
    "OPENAI_API_KEY": SECRET,
    "DATABASE_URL": "postgres://user:correct-horse-battery@db.example/app",
    "GOOGLE_CLOUD_PROJECT": "acme-prod-7",
}


def fuzz_reader(data: bytes) -> None:
    """Read ``data`` as a cassette. If it is valid, do with it what the commands and a replay do."""
    try:
        cassette = cassette_reader.load_cassette(data, PATH)
    except CassetteCorrupt:
        return
    cassette = make_foreign_redactor(Settings())(cassette)
    for line, _ in cassette_text.describe_cassette(cassette, requests=True):
        assert isinstance(line, str)
    assert cassette.recorded_at is None or cassette.recorded_at.tzinfo is not None
    cassette.index(MatchingRules(), cassette.placeholders)
    PendingRecordings.from_cassette(cassette).to_cassette()
    for interaction in cassette.interactions:
        replayed = Replay.at_pace(interaction.replayed_response, "instant")
        content = b"".join(part for _, part in replayed.chunks())
        assert len(content) == replayed.length
        parse_response(b"".join(part for _, part in http1.encode_response(replayed, interaction.request.method)))
    check_written_again(cassette)


def check_written_again(cassette: Cassette) -> None:
    """Write ``cassette`` and read it again, as ``multitrack accept`` does with the cassette that it merges into."""
    # the metadata of another recorder does not say which format the file has
    metadata = {"format": 1, **cassette.metadata}
    written = dump_cassette(Cassette(cassette.interactions, metadata))
    again = cassette_reader.load_cassette(written.encode(), PATH)
    assert len(again.interactions) == len(cassette.interactions)
    assert dump_cassette(again) == written, "writing the cassette a second time changes the file"


def fuzz_wires(data: bytes) -> None:
    """Decode ``data`` in its recognized wire format and in one that its checksum selects, as a whole and in pieces."""
    recognized = wires.recognize(data)
    assert recognized is None or recognized in wires.WIRES
    wires.read_request(data)
    if recognized is not None:
        wires.read_answer(data, recognized)
    document = parse_object(data)
    # the choice depends on the data alone, so that a finding can be repeated
    number = crc32(data)
    formats = registry.all_formats()
    chosen = {formats[number % len(formats)].name}
    if recognized is not None:
        chosen.add(recognized.removesuffix(".stream"))
    for name in sorted(chosen):
        wire_format = registry.get_format(name)
        if document is not None:
            check_document(document, wire_format)
        check_stream(data, wire_format, (1, 7, 64, 997)[number % 4])
        if number % 8 == 0:  # takes as long as all other checks
            check_encoding(data, wire_format.name if document is not None else wire_format.stream_name)


def check_document(document: dict[str, object], wire_format: wires.WireFormat) -> None:
    """Read ``document`` as an answer and as a request of ``wire_format``."""
    answer = wire_format.read_answer(document)
    check_answer(answer)
    for message in wire_format.read_messages(document):
        assert isinstance(message.text, str)
    wire_format.read_request(document)
    results = [wires.ToolResult(call, True, "fine") for call in answer.calls]
    json.dumps(wire_format.continue_conversation(document, results, None))


def check_stream(data: bytes, wire_format: wires.WireFormat, size: int) -> None:
    """Decode ``data`` as a stream, in one piece and in pieces of ``size`` bytes. The results must be equal."""
    name = wire_format.stream_name
    whole = wires.read_answer(data, name)
    check_answer(whole)
    decoder = wires.create_stream_decoder(name)
    calls = [call for piece in cut(data, size) for call in decoder.feed(piece)] + decoder.close()
    assert decoder.answer == whole, f"{name}: decoding pieces of {size} bytes returns a different answer"
    # the stream yields the calls in the order of the answer; if the answer is incomplete, it may lack the last ones
    found = [(call.id, call.name, call.arguments) for call in calls]
    expected = [(call.id, call.name, call.arguments) for call in whole.calls]
    assert found == expected[: len(found)], f"{name}: the calls of the stream differ from those of the answer"
    if whole.is_complete and whole.error is None and not whole.is_truncated:
        # if the stream ended within the arguments of a call, only the answer contains that call
        missing = [arguments for _, _, arguments in expected[len(found) :]]
        assert not any(map(is_json, missing)), f"{name}: the stream yields {len(found)} of {len(expected)} calls"
        document = json.loads(json.dumps(decoder.document))
        agreed = [(call.name, call.arguments) for call in wire_format.read_answer(document).calls]
        others = [call[1:] for call in expected]
        if len(as_objects(document.get("choices", document.get("candidates")))) > 1:
            # a call of the first choice that was cut off is the last call of the answer
            agreed, others = sorted(agreed, key=str), sorted(others, key=str)
        assert agreed == others, f"{name}: the document has other calls"


def check_encoding(data: bytes, name: str) -> None:
    """Write another answer into ``data``. If that is not possible, the error must be our own."""
    answer = wires.read_answer(data, name)
    added = ToolCall("call_9", "Added", '{"n": 9}', len(answer.calls))
    for other in (replace(answer, calls=(*answer.calls, added), text="other"), replace(answer, calls=(), text=None)):
        try:
            wires.encode_answer(other, name, data)
        except ValueError as error:
            if type(error) is not ValueError:  # a subclass, such as UnicodeDecodeError, would not be ours
                raise


def check_answer(answer: wires.WireAnswer) -> None:
    """Check the types of ``answer``, and that its calls can be shown."""
    for text in (answer.text, answer.finish_reason, answer.refusal, answer.error, answer.model):
        assert text is None or isinstance(text, str)
    assert answer.usage is None or isinstance(answer.usage, Mapping)
    for call in answer.calls:
        assert isinstance(call.name, str)
        assert call.arguments is None or isinstance(call.arguments, str)
        str(call)


def is_json(text: str | None) -> bool:
    """Return whether ``text`` is JSON or None."""
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError):
        return False
    return True


def parse_object(data: bytes) -> dict[str, object] | None:
    """Return the JSON object in ``data``, which is UTF-8, or ``None`` if ``data`` is not one."""
    try:
        # as a text, because ``json.loads`` also accepts bytes that are not UTF-8
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


@cache
def create_redactor() -> Redactor:
    """Return a redactor that knows the secrets in ``ENVIRONMENT``."""
    return Redactor(ENVIRONMENT)


def fuzz_redactor(data: bytes) -> None:
    """Redact ``data`` twice, as a string, a body, a URL and in messages. The second redaction must change nothing."""
    redactor = create_redactor()
    text = data.decode("utf-8", "surrogateescape")
    redacted = redactor.redact_text(text)
    assert redactor.redact_text(redacted) == redacted, "a text changes when it is redacted again"
    assert SECRET not in redacted
    printed = redactor.redact_secrets(text)
    assert redactor.redact_secrets(printed) == printed, "printed text changes when it is redacted again"
    assert SECRET not in printed
    body = redactor.redact_body(data)
    assert redactor.redact_body(body) == body, "a body changes when it is redacted again"
    assert SECRET.encode() not in body
    url = redactor.redact_url(text)
    assert redactor.redact_url(url) == url, "a URL changes when it is redacted again"
    learning = Redactor(ENVIRONMENT)
    kind, _, content = data.partition(b"\n")
    headers: Headers = (("content-type", kind.decode("latin-1")), ("authorization", "Bearer fuzzed-credential-1"))
    request = Request("POST", "https://api.example/v1?key=fuzzed-credential-2", headers, content)
    learning.learn_request(request)
    once = learning.redact_request(request)
    assert learning.redact_request(once) == once, "a request changes when it is redacted again"
    response = learning.redact_response(Response(200, kind.decode("latin-1"), headers, content))
    assert learning.redact_response(response) == response, "a response changes when it is redacted again"


def fuzz_http1(data: bytes) -> None:
    """Parse ``data`` as an HTTP/1 message, in one piece and byte by byte. The results must be equal."""
    for create in (http1.request_parser, lambda: http1.response_parser("GET"), lambda: http1.response_parser("HEAD")):
        outcomes = [parse_message(create(), pieces) for pieces in ([data], cut(data, 1), cut(data, 5))]
        assert outcomes[0] == outcomes[1] == outcomes[2], "the pieces matter"


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Yield ``data`` in pieces of ``size`` bytes."""
    return (data[start : start + size] for start in range(0, len(data), size))


def parse_message(parser: http1.HttpMessageParser, pieces: object) -> tuple[object, ...]:
    """Return the message that ``parser`` reads from ``pieces``, or a mark that the parser rejected the pieces."""
    body = b""
    try:
        for piece in pieces:  # type: ignore[attr-defined]
            body += b"".join(parser.feed(piece))
        parser.close()
    except ValueError:
        return ("refused",)
    if parser.start_line is not None:
        http1.parse_status_line(parser.start_line)
    return parser.start_line, parser.headers, parser.trailers, parser.is_complete, body


def parse_response(content: bytes) -> None:
    """Parse a response that Multitrack encoded. Raises ValueError if it is not valid."""
    parser = http1.response_parser("GET")
    parser.feed(content)
    parser.close()
    assert parser.start_line is not None


TARGETS: dict[str, Callable[[bytes], None]] = {
    "reader": fuzz_reader,
    "wires": fuzz_wires,
    "redactor": fuzz_redactor,
    "http1": fuzz_http1,
}
