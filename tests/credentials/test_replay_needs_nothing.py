"""Every client works in a process without environment, home and network, created when a module is imported."""

from __future__ import annotations

import pytest

APPLICATION = """
    import asyncio, sys, time, warnings
    warnings.simplefilter("ignore")
    from memory_tape import MemoryTape
    from multitrack.tape import credentials, active

    GEMINI = b'{"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}}]}'

    def ask(name, call, tape):
        before, start = len(tape.requests), time.perf_counter()
        try:
            answer = call()
            answer = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
        except Exception as error:
            print(name, type(error).__name__, len(tape.requests) - before)
        else:
            print(name, "answered", len(tape.requests) - before)
        if time.perf_counter() - start > 1:
            print(name, "was slow")

    def ask_with_and_without_replay(calls, body):
        tape = MemoryTape(body)
        with credentials.stand_in(), active.activate(tape):
            for name, call in calls.items():
                ask(name, call, tape)
        # Google searches itself from here on; its timeout is not what this test measures
        if "google.auth" in sys.modules:
            from google.auth.compute_engine import _metadata

            _metadata.is_on_gce = lambda request: False
        for name, call in calls.items():
            ask(name, call, tape)
        with active.activate(MemoryTape(mode="record")) as recording:
            for name, call in calls.items():
                ask(name, call, recording)
"""

OPENAI = """
    with credentials.stand_in():
        import openai
        clients = [openai.OpenAI(), openai.AsyncOpenAI(), openai.AzureOpenAI(), openai.AsyncAzureOpenAI()]

    def create(client):
        return lambda: client.chat.completions.create(model="gpt-4o-mini", messages=[])

    ask_with_and_without_replay(
        {type(client).__name__: create(client) for client in clients},
        b'{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}',
    )
"""

VERTEX = """
    with credentials.stand_in():
        import vertexai
        from google.cloud.aiplatform import initializer
        from vertexai.generative_models import GenerativeModel
        start = time.perf_counter()

        grpc_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        vertexai.init()
        rest_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        # the SDK creates its client at the first request, with the transport that is set by then
        rest_model._prediction_client
        project = initializer.global_config.project
        vertexai.init(api_transport="grpc")
        early_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        early_model._prediction_client
        vertexai.init(project="mine", location="europe-west1", api_transport="rest")
        named_rest_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        named_rest_model._prediction_client
        vertexai.init(project="mine", location="europe-west1", api_transport="grpc")
        named_model = GenerativeModel("gemini-1.5-pro-preview-0409")
        print("created in time", time.perf_counter() - start < 1, project)

    models = {"REST": rest_model, "gRPC": grpc_model, "gRPC, connected early": early_model}
    models |= {"REST, named project": named_rest_model, "gRPC, named project": named_model}
    calls = {name: lambda model=model: model.generate_content("hi") for name, model in models.items()}
    # each creates its asyncio client at its first request, for the loop that runs by then
    async_models = iter([GenerativeModel("gemini-1.5-pro-preview-0409") for _ in range(3)])
    calls["gRPC, async"] = lambda: next(async_models).generate_content_async("hi")
    ask_with_and_without_replay(calls, GEMINI)
"""

VERTEX_NAMES = [
    "REST",
    "gRPC",
    "gRPC, connected early",
    "REST, named project",
    "gRPC, named project",
    "gRPC, async",
]

GENAI = """
    with credentials.stand_in():
        from google import genai
        start = time.perf_counter()
        clients = {CLIENTS}
        print("created in time", time.perf_counter() - start < 1)

    def generate(models):
        return lambda: models.generate_content(model="gemini-2.0-flash", contents="hi")

    calls = {}
    for name, client in clients.items():
        calls[name] = generate(client.models)
        calls[f"{name}, async"] = generate(client.aio.models)
    ask_with_and_without_replay(calls, GEMINI)
"""
GEMINI_GENAI = GENAI.replace("CLIENTS", '"Gemini": genai.Client()')
GEMINI_GENAI_NAMES = ["Gemini", "Gemini, async"]
VERTEX_GENAI = GENAI.replace(
    "CLIENTS",
    '"global": genai.Client(vertexai=True), '
    '"region": genai.Client(vertexai=True, project="mine", location="europe-west1")',
)
# the asyncio client of google-genai uses aiohttp if aiohttp is installed, otherwise httpx
WITHOUT_AIOHTTP = """
    sys.modules["aiohttp"] = None
"""
VERTEX_GENAI_NAMES = ["global", "global, async", "region", "region, async"]

STORAGE = """
    with credentials.stand_in():
        from google.cloud import storage
        start = time.perf_counter()
        client = storage.Client()
        print("created in time", time.perf_counter() - start < 1, client.project)

    ask_with_and_without_replay({"storage": lambda: list(client.list_buckets())}, b"{}")
"""

GENERATED = """
    with credentials.stand_in():
        from google.cloud import resourcemanager_v3
        start = time.perf_counter()
        clients = {
            "gRPC": resourcemanager_v3.ProjectsClient(),
            "REST": resourcemanager_v3.ProjectsClient(transport="rest"),
        }
        print("created in time", time.perf_counter() - start < 1)

    async def ask_async():
        with credentials.stand_in():
            client = resourcemanager_v3.ProjectsAsyncClient()
        return await client.get_project(name="projects/one")

    calls = {name: lambda client=client: client.get_project(name="projects/one") for name, client in clients.items()}
    ask_with_and_without_replay(calls | {"asyncio": ask_async}, b"{}")
"""

BIGQUERY = """
    with credentials.stand_in():
        from google.cloud import bigquery
        start = time.perf_counter()
        client = bigquery.Client()
        print("created in time", time.perf_counter() - start < 1, client.project)

    ask_with_and_without_replay({"bigquery": lambda: list(client.list_datasets())}, b"{}")
"""


def outcome(names: list[str], error: str) -> list[str]:
    """Return the expected output: answers during replay, then errors without a tape, then errors while recording."""
    return [f"{name} answered 1" for name in names] + 2 * [f"{name} {error} 0" for name in names]


def test_openai(bare_process):
    pytest.importorskip("openai")
    names = ["OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"]
    printed = bare_process(APPLICATION + OPENAI, offline=True)
    assert printed.splitlines() == outcome(names, "OpenAIError")


@pytest.mark.parametrize(
    ("module", "source", "created", "names", "error"),
    [
        ("vertexai", VERTEX, "True project-0", VERTEX_NAMES, "DefaultCredentialsError"),
        ("google.genai", VERTEX_GENAI, "True", VERTEX_GENAI_NAMES, "DefaultCredentialsError"),
        ("google.genai", GEMINI_GENAI, "True", GEMINI_GENAI_NAMES, "ValueError"),
        ("google.genai", WITHOUT_AIOHTTP + VERTEX_GENAI, "True", VERTEX_GENAI_NAMES, "DefaultCredentialsError"),
        ("google.genai", WITHOUT_AIOHTTP + GEMINI_GENAI, "True", GEMINI_GENAI_NAMES, "ValueError"),
        ("google.cloud.storage", STORAGE, "True project-0", ["storage"], "DefaultCredentialsError"),
        ("google.cloud.bigquery", BIGQUERY, "True project-0", ["bigquery"], "DefaultCredentialsError"),
        (
            "google.cloud.resourcemanager_v3",
            GENERATED,
            "True",
            ["gRPC", "REST", "asyncio"],
            "DefaultCredentialsError",
        ),
    ],
    ids=[
        "vertex",
        "genai on vertex",
        "genai",
        "genai on vertex, no aiohttp",
        "genai, no aiohttp",
        "storage",
        "bigquery",
        "a generated client",
    ],
)
def test_google(bare_process, module, source, created, names, error):
    pytest.importorskip(module)
    printed = bare_process(APPLICATION + source, offline=True)
    assert printed.splitlines() == [f"created in time {created}", *outcome(names, error)]
