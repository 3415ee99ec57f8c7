"""Code written for instructor: names that Multitrack does not offer are explained when they are used."""

import warnings

import openai
import pytest

import multitrack as instructor
from multitrack import Mode

# instructor 1.17.0: every public name of the module, except the ones that Multitrack has as well
MODULE_NAMES = [
    "AsyncInstructor",
    "Audio",
    "BatchJob",
    "BatchProcessor",
    "BatchRequest",
    "CitationMixin",
    "FinetuneFormat",
    "Image",
    "Instructions",
    "Instructor",
    "IterableModel",
    "Maybe",
    "OpenAISchema",
    "Partial",
    "Provider",
    "ResponseSchema",
    "apatch",
    "from_anyscale",
    "from_bedrock",
    "from_cerebras",
    "from_cohere",
    "from_databricks",
    "from_deepseek",
    "from_fireworks",
    "from_gemini",
    "from_groq",
    "from_litellm",
    "from_mistral",
    "from_openrouter",
    "from_perplexity",
    "from_provider",
    "from_together",
    "from_writer",
    "from_xai",
    "generate_anthropic_schema",
    "generate_gemini_schema",
    "generate_openai_schema",
    "hooks",
    "llm_validator",
    "openai_moderation",
    "openai_schema",
    "response_schema",
    "v2",
]
SHARED_NAMES = ["Mode", "from_anthropic", "from_bedrock", "from_genai", "from_openai", "from_vertexai", "patch"]


@pytest.mark.parametrize("name", [name for name in MODULE_NAMES if name not in instructor.__all__])
def test_a_name_of_the_module_is_explained_in_one_sentence(name):
    with pytest.raises(AttributeError, match=rf"^Multitrack does not offer {name}: \S[^\n]*[^.\n]$"):
        getattr(instructor, name)
    assert not hasattr(instructor, name)


def test_the_import_of_a_name_is_explained():
    with pytest.raises(ImportError, match=r"^Multitrack does not offer Partial: call create\(stream=True\): \S"):
        from multitrack import Partial  # noqa: F401


def test_the_import_of_an_unknown_name_is_an_import_error():
    with pytest.raises(ImportError, match="from_nowhere"):
        from multitrack import from_nowhere  # noqa: F401


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_a_name_that_both_have_is_not_explained(name):
    assert getattr(instructor, name) is not None


def test_from_provider_names_the_functions_to_use_instead():
    with pytest.raises(AttributeError) as raised:
        instructor.from_provider("openai/gpt-4o-mini")
    functions = [name for name in instructor.__all__ if name.startswith("from_")]
    assert all(name in str(raised.value) for name in functions)


def make_openai_client(client_class, mode, function=instructor.from_openai):
    return function(client_class(api_key="key-0"), mode=mode)


def make_genai_client():
    return instructor.from_genai(pytest.importorskip("google.genai").Client(api_key="key-0"), model="gemini")


def make_vertexai_client():
    with warnings.catch_warnings():
        # the SDK warns on import, and for each model, that it will be removed
        warnings.simplefilter("ignore")
        return instructor.from_vertexai(pytest.importorskip("vertexai.generative_models").GenerativeModel("gemini"))


def make_anthropic_client(client_class):
    return instructor.from_anthropic(getattr(pytest.importorskip("anthropic"), client_class)(api_key="key-0"))


CLIENTS = {
    "anthropic": lambda: make_anthropic_client("Anthropic"),
    "anthropic, async": lambda: make_anthropic_client("AsyncAnthropic"),
    "anthropic, with options": lambda: make_anthropic_client("Anthropic").with_options(timeout=5),
    "anthropic messages": lambda: make_anthropic_client("Anthropic").messages,
    "anthropic messages, async": lambda: make_anthropic_client("AsyncAnthropic").messages,
    "chat": lambda: make_openai_client(openai.OpenAI, Mode.PARALLEL_TOOLS),
    "chat, async": lambda: make_openai_client(openai.AsyncOpenAI, Mode.PARALLEL_TOOLS),
    "responses": lambda: make_openai_client(openai.OpenAI, Mode.RESPONSES_PARALLEL_TOOLS),
    "responses, async": lambda: make_openai_client(openai.AsyncOpenAI, Mode.RESPONSES_PARALLEL_TOOLS),
    "patched": lambda: make_openai_client(openai.OpenAI, None, instructor.patch),
    "with options": lambda: make_openai_client(openai.OpenAI, None).with_options(timeout=5),
    "completions": lambda: make_openai_client(openai.OpenAI, None).chat.completions,
    "completions, async": lambda: make_openai_client(openai.AsyncOpenAI, None).chat.completions,
    "genai": make_genai_client,
    "vertexai": make_vertexai_client,
}


@pytest.fixture(params=CLIENTS)
def client(request, tmp_path):
    # replaying, so that Google's client needs no credentials
    with instructor.use_cassette(tmp_path / "none.yaml", mode="replay"):
        yield CLIENTS[request.param]()


@pytest.mark.parametrize("name", ["on", "off", "clear", "hooks", "create_partial", "create_iterable", "mode"])
def test_a_name_of_the_clients_is_explained_in_one_sentence(client, name):
    with pytest.raises(AttributeError, match=rf"^Multitrack does not offer {name}: \S[^\n]*[^.\n]$") as raised:
        getattr(client, name)
    assert raised.value.name == name
    assert raised.value.obj is client


def test_a_client_has_no_hooks(client):
    assert not hasattr(client, "on")


def test_any_other_missing_attribute_raises_the_usual_error(client):
    message = f"^'{type(client).__name__}' object has no attribute 'create_everything'$"
    with pytest.raises(AttributeError, match=message):
        client.create_everything  # noqa: B018


@pytest.mark.parametrize("name", ["on", "create_partial", "create_everything"])
def test_a_client_of_the_sdk_alone_raises_the_usual_error(name):
    instructor.from_openai(openai.OpenAI(api_key="key-0"))
    with pytest.raises(AttributeError, match=f"^'OpenAI' object has no attribute '{name}'$"):
        getattr(openai.OpenAI(api_key="key-0"), name)


def test_the_error_of_a_property_is_not_hidden():
    class Client(openai.OpenAI):
        @property
        def account(self):
            raise AttributeError("the reason")

    with pytest.raises(AttributeError, match=r"^the reason$"):
        instructor.from_openai(Client(api_key="key-0")).account  # noqa: B018


@pytest.mark.parametrize("name", ["from_openai", "patch"])
def test_messages_of_an_openai_client_is_explained(name):
    client = make_openai_client(openai.OpenAI, None, getattr(instructor, name))
    with pytest.raises(AttributeError, match=r"^Multitrack does not offer messages: call the client's own create\(\)$"):
        client.messages.create(messages=[])


def test_gemini_clients_are_called_without_chat_completions():
    with pytest.raises(AttributeError, match=r"^Multitrack does not offer chat: call the client's own create\(\)$"):
        make_genai_client().chat.completions.create(messages=[])
