"""The tests beside every version of an SDK that the clients are for, each in an environment of its own.

``make matrix`` runs them all; ``nox --list`` names them, and ``nox --session oldest -- -x`` runs one, with
arguments for pytest.
"""

from collections.abc import Iterable, Iterator

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
# a Python that is not here is not asked for
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
LOWEST, *LATER = nox.project.python_versions(PROJECT)

CLIENTS = ("tests/clients", "tests/wires", "tests/extraction", "tests/tape", "tests/credentials", "examples")
# what tests/project asks of the checkout is the same beside any version
ALL = ("tests", "examples", "--ignore=tests/project")


def floors(requirements: Iterable[str]) -> Iterator[str]:
    """The oldest version that each of ``requirements`` lets in."""
    for requirement in map(Requirement, requirements):
        yield from (f"{requirement.name}=={of.version}" for of in requirement.specifier if of.operator == ">=")


@nox.session(python=LOWEST)
@nox.parametrize("openai", [nox.param(f"openai<{major + 1}", id=f"openai-{major}") for major in (1, 2, 3)])
def clients(session: nox.Session, openai: str) -> None:
    """The newest of everything, beside one major version of the openai package."""
    check(session, CLIENTS, openai)


@nox.session(python=LOWEST)
def oldest(session: nox.Session) -> None:
    """The oldest version of everything that pyproject.toml names one for."""
    extras = dict(PROJECT["project"]["optional-dependencies"])
    for n in ("all", "genai"): del extras[n]
    asked = [*PROJECT["project"]["dependencies"], *sum(extras.values(), [])]
    session.install("--editable", ".[openai,vertexai,standin,test]", "--group", "test", "httpx<0.28", *floors(asked))
    session.run("pytest", *ALL, *session.posargs)


@nox.session(python=LATER)
def later(session: nox.Session) -> None:
    """The newest of everything, on the later Pythons that are found."""
    check(session, ALL)


def check(session: nox.Session, tests: Iterable[str], *requirements: str) -> None:
    session.install("--editable", ".[all]", "--group", "test", *requirements)
    session.run("pytest", *tests, *session.posargs)
