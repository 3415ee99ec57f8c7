"""Follow the example of each installed framework in docs/frameworks.md."""

import pytest
from documentation_page import ExampleProject, read_blocks
from scenarios import INSTALLED
from test_frameworks import RULES

from multitrack.standin import StandIn

# the name of the framework on the package index, and its heading
SECTIONS = {
    "pydantic-ai": "pydantic-ai",
    "langchain-openai": "LangChain",
    "openai-agents": "OpenAI Agents SDK",
    "google-adk": "Google ADK",
    "litellm": "LiteLLM",
    "instructor": "instructor",
}


@pytest.mark.slow
@pytest.mark.parametrize("framework", [name for name in SECTIONS if name in INSTALLED])
def test_the_example_of_a_framework_is_recorded_and_replayed(framework, tmp_path):
    with StandIn(RULES) as standin:
        # openai-agents logs whether it exports traces
        project = ExampleProject(tmp_path, {"GEMINI_API_KEY": "key-0", **standin.environment}, may_log=True)
        project.follow(read_blocks("docs/frameworks.md", SECTIONS[framework]))
