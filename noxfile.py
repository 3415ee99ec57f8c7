"""The tests beside older and newer SDKs, each in an environment of its own: ``make matrix``.

``nox --list`` names them; ``nox --session oldest -- -x`` runs one, with arguments for pytest. uv makes the
environments where it is installed, else pip does.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"

PYPROJECT = nox.project.load_toml("pyproject.toml")
LOWEST, *LATER = nox.project.python_versions(PYPROJECT)

# the first looks at the checkout, and at no SDK; the second has a session of its own
EVERYTHING = ("tests", "examples", "--ignore=tests/project", "--ignore=tests/aiohttp_client")
CLIENTS = (
    "tests/clients",
    "tests/wires",
    "tests/extraction",
    "tests/tape/test_httpx_seam.py",
    "tests/credentials",
    "tests/grpc_channel",
    "tests/standin",
    "examples",
)
SDKS = {"openai-1": "openai<2", "openai-2": "openai<3", "openai-3": "openai<4", "genai-3": "google-genai<4"}


@nox.session(python=LOWEST)
@nox.parametrize("sdk", [nox.param(requirement, id=name) for name, requirement in SDKS.items()])
def clients(session: nox.Session, sdk: str) -> None:
    """One major version of an SDK, the newest of it, and the newest of everything else."""
    install(session)
    # by itself, since google-cloud-aiplatform keeps google-genai 3 out, of which it needs nothing here
    session.install("--upgrade", sdk)
    run(session, CLIENTS)


@nox.session(python=LOWEST)
def oldest(session: nox.Session) -> None:
    """The oldest version of everything that the package or an extra asks for."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    install(session, *floors(chain(project["dependencies"], *extras)))
    run(session, EVERYTHING)


@nox.session(python=LOWEST)
def aiohttp(session: nox.Session) -> None:
    """The oldest aiohttp that the tape knows; what is developed with has the newest, and all others have none."""
    install(session, *floors(PYPROJECT["dependency-groups"]["aiohttp"]))
    run(session, ("tests/aiohttp_client",))


@nox.session(python=LATER)
def later(session: nox.Session) -> None:
    """The newest of everything on a later Python."""
    install(session)
    run(session, EVERYTHING)


def floors(requirements: Iterable[str]) -> Iterator[str]:
    """The oldest version that each of ``requirements`` takes."""
    for requirement in map(Requirement, requirements):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                yield f"{requirement.name}=={bound.version}"


def install(session: nox.Session, *pins: str) -> None:
    session.install("--editable", ".[all]", "--group", "test", *pins)


def run(session: nox.Session, tests: Iterable[str]) -> None:
    # what mypy remembers of one environment is nothing worth in another
    cache = f"cache_dir={session.virtualenv.location}/.pytest_cache"
    session.run("pytest", *tests, "--numprocesses=auto", "--dist=loadfile", "--override-ini", cache, *session.posargs)
