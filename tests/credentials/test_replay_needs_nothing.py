"""Every client, made as an application's module is imported, in a process that has nothing: no environment, no
home, and no network interface that is up."""

from __future__ import annotations

import pytest

APPLICATION = """
    import asyncio, time, warnings
    warnings.simplefilter("ignore")
    from memory_tape import MemoryTape
    from multitrack.tape import credentials, deck

    GEMINI = b'{"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}}]}'

    def ask(name, call, tape):
        asked, start = len(tape.requests), time.perf_counter()
        try:
            answer = call()
            answer = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
        except Exception as error:
            print(name, type(error).__name__, len(tape.requests) - asked)
        else:
            print(name, "answered", len(tape.requests) - asked)
        if time.perf_counter() - start > 1:
            print(name, "was slow")

    def replay_and_then_not(calls, body):
        tape = MemoryTape(body)
        with credentials.stand_in(), deck.playing(tape):
            for name, call in calls.items():
                ask(name, call, tape)
        for name, call in calls.items():
            ask(name, call, tape)
        with deck.playing(MemoryTape(mode="record")) as recording:
            for name, call in calls.items():
                ask(name, call, recording)
"""

OPENAI = """
    with credentials.stand_in():
        import openai
        clients = [openai.OpenAI(), openai.AsyncOpenAI(), openai.AzureOpenAI(), openai.AsyncAzureOpenAI()]

    def create(client):
        return lambda: client.chat.completions.create(model="gpt-4o-mini", messages=[])

    replay_and_then_not(
        {type(client).__name__: create(client) for client in clients},
        b'{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}',
    )
"""

VERTEX = """
    with credentials.stand_in():
        start = time.perf_counter()
        import vertexai
        from google.cloud.aiplatform import initializer
        from vertexai.generative_models import GenerativeModel
        start = time.perf_counter()

        grpc_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        vertexai.init()
        rest_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        # the SDK makes its client at the first request, of the transport that is set by then
        rest_model._prediction_client
        vertexai.init(api_transport="grpc")
        early_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        early_model._prediction_client
        print("made in time", time.perf_counter() - start < 1, initializer.global_config.project)

    models = {"REST": rest_model, "gRPC": grpc_model, "gRPC, connected early": early_model}
    replay_and_then_not(
        {name: lambda model=model: model.generate_content("hi") for name, model in models.items()}, GEMINI
    )
"""

GENAI = """
    with credentials.stand_in():
        from google import genai
        start = time.perf_counter()
        clients = {
            "Gemini": genai.Client(),
            "Vertex": genai.Client(vertexai=True),
            "Vertex, project": genai.Client(vertexai=True, project="mine", location="europe-west1"),
        }
        print("made in time", time.perf_counter() - start < 1)

    def generate(models):
        return lambda: models.generate_content(model="gemini-2.0-flash", contents="hi")

    calls = {}
    for name, client in clients.items():
        calls[name] = generate(client.models)
        calls[f"{name}, async"] = generate(client.aio.models)
    replay_and_then_not(calls, GEMINI)
"""

CLOUD = """
    with credentials.stand_in():
        from google.cloud import bigquery, storage
        start = time.perf_counter()
        buckets, sets = storage.Client(), bigquery.Client()
        print("made in time", time.perf_counter() - start < 1, buckets.project, sets.project)

    replay_and_then_not(
        {"storage": lambda: list(buckets.list_buckets()), "bigquery": lambda: list(sets.list_datasets())}, b"{}"
    )
"""


def outcome(names: list[str], error: str) -> list[str]:
    """Each is answered by the tape, then refused where there is none, then refused where one records."""
    return [f"{name} answered 1" for name in names] + 2 * [f"{name} {error} 0" for name in names]


def test_openai(bare_process):
    pytest.importorskip("openai")
    names = ["OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"]
    printed = bare_process(APPLICATION + OPENAI, offline=True)
    assert printed.splitlines() == outcome(names, "OpenAIError")


# Outside replay Google's own look-up runs, as it would without us, and asks the metadata server where this
# variable does not forbid it; that nobody asks on replay is what the times and the processes without it show.
NO_METADATA_SERVER = {"NO_GCE_CHECK": "true"}


@pytest.mark.parametrize("environment", [{}])
def test_vertex(bare_process, environment):
    pytest.importorskip("vertexai")
    printed = bare_process(APPLICATION + VERTEX, offline=True, **environment)
    print(printed)
