"""The wire format of an error that has no form of its own: the request shows it."""

import json

import pytest

from multitrack.tape.answer_wire import find_wire
from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import Interaction
from multitrack.wires import read_answer, recognize

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
OLLAMA = "http://localhost:11434"


def make_interaction(url, request, error, status):
    body = json.dumps(request).encode()
    return Interaction(Request("POST", url, (), body), Response(status, "", (), json.dumps(error).encode()))


@pytest.mark.parametrize(
    ("url", "request_body", "status", "error", "wire", "text"),
    [
        pytest.param(
            f"{OLLAMA}/api/chat", CHAT, 404, {"error": "model 'm' not found"}, "ollama", "model 'm' not found",
            id="Ollama",
        ),
        pytest.param(
            f"{OLLAMA}/api/generate", {"model": "m", "prompt": "hi"}, 400, {"error": "bad"}, "ollama", "bad",
            id="Ollama's generate",
        ),
        pytest.param(
            f"{OLLAMA}/api/chat", CHAT, 200, {"error": "out of memory"}, "ollama", "out of memory",
            id="Ollama with the status of a success",
        ),
        pytest.param(
            f"{OLLAMA}/v1/chat/completions", CHAT, 404,
            {"error": {"message": "not found", "type": "api_error", "param": None, "code": None}},
            "openai.chat", "not found", id="Ollama's OpenAI door",
        ),
        pytest.param(
            "http://localhost:1234/v1/chat/completions", CHAT, 404, {"error": "no model loaded"},
            "openai.chat", "no model loaded", id="LM Studio",
        ),
        pytest.param(
            "https://api.x.ai/v1/chat/completions", CHAT, 400,
            {"code": "Client specified an invalid argument", "error": "Model not found"},
            "openai.chat", "Model not found", id="xAI",
        ),
        pytest.param(
            "https://api.mistral.ai/v1/chat/completions", CHAT, 400,
            {"object": "error", "message": "Invalid model", "type": "invalid_model", "param": None, "code": "1500"},
            "openai.chat", "Invalid model", id="Mistral",
        ),
        pytest.param(
            "https://api.mistral.ai/v1/chat/completions", CHAT, 401, {"detail": "Unauthorized"},
            "openai.chat", "Unauthorized", id="Mistral without a key",
        ),
        pytest.param(
            "https://api.groq.com/openai/v1/chat/completions", CHAT, 400,
            {"error": {"message": "Failed to call a function", "code": "tool_use_failed", "failed_generation": "<f"}},
            "openai.chat", "Failed to call a function", id="Groq",
        ),
        pytest.param(
            "http://localhost:8000/v1/chat/completions", CHAT, 400,
            {"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400},
            "openai.chat", "too long", id="vLLM, old",
        ),
        pytest.param(
            "http://localhost:8080/v1/chat/completions", CHAT, 503,
            {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
            "openai.chat", "Loading model", id="llama.cpp",
        ),
        pytest.param(
            "https://api.example.com/v1/messages", {**CHAT, "max_tokens": 9}, 500, {"error": "upstream failed"},
            "anthropic", "upstream failed", id="a gateway before Anthropic",
        ),
    ],
)  # fmt: skip
def test_the_request_shows_the_format_of_an_error(url, request_body, status, error, wire, text):
    interaction = make_interaction(url, request_body, error, status)
    assert find_wire(interaction) == wire
    assert read_answer(interaction.response.body, wire).error == text


@pytest.mark.parametrize("status", [200, 500])
def test_an_error_of_another_api_has_no_wire_format(status):
    assert find_wire(make_interaction("https://shop.example.com/orders", {"item": 1}, {"error": "no"}, status)) is None


def test_an_answer_without_an_error_is_not_one():
    count = make_interaction("https://api.anthropic.com/v1/messages/count_tokens", CHAT, {"input_tokens": 8}, 200)
    assert find_wire(count) is None


def test_an_error_that_is_only_text_is_not_recognized_without_its_request():
    assert recognize({"error": "model 'm' not found"}) is None
