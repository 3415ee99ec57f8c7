"""The command line ``python -m multitrack.standin``."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "multitrack.standin"]
EXAMPLES_SCRIPT = Path(__file__).parents[2] / "examples" / "standin.yaml"
APPLICATION = """
import openai
answer = openai.OpenAI().chat.completions.create(
    model="gpt-4o-mini",
    messages=[{
        "role": "user",
        "content": "What is the weather in toronto and dallas and who won the super bowl?",
    }],
    tools=[
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("Weather", "GoogleSearch")
    ],
)
for call in answer.choices[0].message.tool_calls:
    print(call.function.name, call.function.arguments)
"""


@contextmanager
def start_standin(*options):
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_file(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_application_in_its_environment_reaches_it_until_a_signal_stops_it(tmp_path, number):
    env_file = tmp_path / "standin.env"

    with start_standin("--script", str(EXAMPLES_SCRIPT), "--env-file", str(env_file)) as process:
        wait_for_file(env_file)
        mode = env_file.stat().st_mode & 0o777
        exports = env_file.read_text("utf-8")
        application = subprocess.run(
            ["sh", "-c", f'. "{env_file}" && exec "$0" -c "$1"', sys.executable, APPLICATION],
            env={name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")},
            capture_output=True,
            text=True,
            check=False,
        )
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)

    assert application.stdout.splitlines() == [
        'Weather {"location":"Toronto","units":"metric"}',
        'Weather {"location":"Dallas","units":"imperial"}',
        'GoogleSearch {"query":"who won the super bowl"}',
    ], application.stderr
    assert process.returncode == 0
    assert errors == ""
    assert mode == 0o600
    assert not env_file.exists()
    lines = output.splitlines()
    assert [line for line in lines if not line.startswith("#")] == exports.splitlines()
    assert [line.partition("=")[0] for line in exports.splitlines()] == [
        "export HTTPS_PROXY",
        "export https_proxy",
        "export NO_PROXY",
        "export no_proxy",
        "export SSL_CERT_FILE",
        "export REQUESTS_CA_BUNDLE",
        "export AWS_CA_BUNDLE",
        "export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "export OPENAI_API_KEY",
        "export AZURE_OPENAI_API_KEY",
        "export ANTHROPIC_API_KEY",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export AWS_DEFAULT_REGION",
        "export OLLAMA_API_KEY",
        "export XAI_API_KEY",
        "export GEMINI_API_KEY",
        "export GOOGLE_APPLICATION_CREDENTIALS",
        "export GOOGLE_CLOUD_PROJECT",
    ]
    assert lines[-3].startswith("# export OPENAI_BASE_URL=http://127.0.0.1:")
    assert lines[-2].startswith("# export ANTHROPIC_BASE_URL=http://127.0.0.1:")
    assert lines[-1] == "# Serving; press Ctrl-C to stop."


def test_a_script_with_mistakes_is_a_usage_error(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("rules:\n- {prompt: Go, txt: gone}\n", "utf-8")

    result = subprocess.run([*COMMAND, "--script", str(script)], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr == (
        f"multitrack.standin: {script}: the script is not valid:\n  rule 1, txt: Unexpected keyword argument\n"
    )


def test_a_port_in_use_is_a_usage_error():
    from multitrack.standin import StandIn

    with StandIn() as standin:
        result = subprocess.run([*COMMAND, "--port", str(standin.port)], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr == (
        f"multitrack.standin: cannot listen on port {standin.port}: Address already in use; "
        "choose another --port, or omit --port to use a free port\n"
    )
