"""Run the tests with older and newer SDKs and Pythons, each in its own environment: ``make matrix``.

``nox --list`` lists the sessions. ``nox --session oldest -- -x`` runs one session and passes ``-x`` to pytest. uv
creates the environments if it is installed, otherwise virtualenv does.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"

PYPROJECT = nox.project.load_toml("pyproject.toml")
LOWEST, *LATER = nox.project.python_versions(PYPROJECT)

# tests/project checks the checkout and uses no SDK; the others have their own sessions
EVERYTHING = (
    "tests",
    "examples",
    "--ignore=tests/project",
    "--ignore=tests/aiohttp_client",
    "--ignore=tests/frameworks",
    "--ignore=tests/neighbours",
    "--ignore=tests/guides",
)
CLIENTS = (
    "tests/clients",
    "tests/wires",
    "tests/extraction",
    "tests/tape/test_httpx_transport.py",
    "tests/credentials",
    "tests/grpc_channel",
    "tests/standin",
    "examples",
)
SDKS = {
    "openai-1": "openai<2",
    "openai-2": "openai<3",
    "openai-3": "openai<4",
    "genai-3": "google-genai<4",
    "anthropic-0": "anthropic<1",
    "anthropic-1": "anthropic<2",
    "anthropic-2": "anthropic<3",
    "bedrock-1": "boto3<2",
}
PIP = ("python", "-m", "pip")
IN_PARALLEL = ("--numprocesses=auto", "--dist=loadfile")
# each has the name of a framework on the package index
FRAMEWORKS = sorted(path.parent.name for path in Path(__file__).parent.glob("tests/frameworks/*/scenario.py"))
# each has the name of a neighbour on the package index
NEIGHBOURS = sorted(
    path.parent.name for path in Path(__file__).parent.glob("tests/neighbours/projects/*/test_neighbour.py")
)

# the recorders that docs/migrating.md replaces; each has its name on the package index
RECORDERS = ("cassetter", "pytest-recording")

# projects whose tests do not use Multitrack, by their names on the package index, with what their tests need and the
# options of pytest
SUITES = {
    # tests/api_resources needs a mock server
    "openai": (
        ("openai[aiohttp,bedrock,realtime,vertex]", "dev"),
        ("tests", "--ignore=tests/api_resources", "-n", "0"),
    ),
    "syrupy": (("syrupy", "test"), ("tests", "--benchmark-skip")),
    "vcrpy": (("vcrpy[tests]", None), ("tests", "-m", "not online")),
}
ROUNDS = 4


@nox.session(python=LOWEST)
@nox.parametrize("sdk", [nox.param(requirement, id=name) for name, requirement in SDKS.items()])
def clients(session: nox.Session, sdk: str) -> None:
    """Test the newest release of one major version of an SDK, with the newest release of everything else."""
    install(session)
    # in a separate step, because google-cloud-aiplatform excludes google-genai 3 although these tests do not use it
    session.install("--upgrade", sdk)
    run(session, CLIENTS)


@nox.session(python=LOWEST)
def oldest(session: nox.Session) -> None:
    """Test the oldest supported release of every dependency of the package and of its extras."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    install(session, *floors(chain(project["dependencies"], *extras)))
    run(session, EVERYTHING)


@nox.session(python=LOWEST)
def aiohttp(session: nox.Session) -> None:
    """Test the oldest supported aiohttp: the development environment has the newest, the other sessions have none."""
    install(session, *floors(PYPROJECT["dependency-groups"]["aiohttp"]))
    run(session, ("tests/aiohttp_client",))


@nox.session(python=LOWEST)
@nox.parametrize("framework", FRAMEWORKS, ids=FRAMEWORKS)
def frameworks(session: nox.Session, framework: str) -> None:
    """Record and replay the scenario of an agent framework, with its current release."""
    # not `install`: the SDKs of our extras would limit the versions that the framework can have
    plugins = ("pytest-asyncio", "pytest-randomly", "pytest-xdist")
    standin = ("trustme", "cryptography", "grpc-google-iam-v1", "google-api-core[grpc]", "proto-plus")
    session.install("--editable", ".[test]", "hypothesis", *standin, *plugins, framework)
    # without its dependencies, because it excludes google-genai 3; the stand-in only needs its messages
    session.install("--no-deps", "google-cloud-aiplatform")
    # the plugins are for the runs that the tests start
    without_plugins = ("-p", "no:asyncio", "-p", "no:randomly", "--numprocesses=0")
    # fails if no test is selected, which is the case if the framework is not installed
    run(session, ("tests/frameworks", "-k", framework), without_plugins)


@nox.session(python=LOWEST)
@nox.parametrize("neighbour", NEIGHBOURS, ids=NEIGHBOURS)
def neighbours(session: nox.Session, neighbour: str) -> None:
    """Record, replay and miss beside another plugin or library, with its current release."""
    listed = Path("tests/neighbours/projects", neighbour, "requirements.txt")
    requirements = ("--requirement", str(listed)) if listed.exists() else (neighbour,)
    session.install("--editable", ".[test]", "httpx", "hypothesis", *requirements)
    # the plugins are for the runs that the tests start
    without_plugins = ("-p", "no:randomly", "-p", "no:timeout", "-p", "no:asyncio", "-p", "no:trio")
    session.env["NEIGHBOUR"] = neighbour
    run(session, ("tests/neighbours",), without_plugins)


@nox.session(python=LOWEST)
@nox.parametrize("recorder", RECORDERS, ids=RECORDERS)
def guides(session: nox.Session, recorder: str) -> None:
    """Follow the guide from another recorder, with its current release: the guide uninstalls the recorder."""
    session.install("--editable", ".[test,standin]", "httpx", "hypothesis", "pip", recorder)
    session.env["RECORDER"] = recorder
    # the plugin is for the runs of the guide
    run(session, ("tests/guides",), ("-p", "no:recording", "-p", "no:cassetter"))


@nox.session(python=LOWEST)
def mcp(session: nox.Session) -> None:
    """Record and replay a session of the MCP SDK, with its current release."""
    install(session, "mcp>=2")
    # fails if no test is selected, which is the case if the SDK is not installed
    run(session, ("tests/tape/test_mcp_sdk.py",), ())


@nox.session(python=LOWEST)
def xai_sdk(session: nox.Session) -> None:
    """Record and replay xAI over gRPC, with the current release of its SDK."""
    # a separate environment, because the SDK requires an older release of packaging than virtualenv does
    install(session, "xai-sdk>=1.21")
    run(session, ("tests/plugin/test_xai_runs.py", "tests/wires/test_xai_format.py", "examples/test_xai.py"), ())


@nox.session(python=LOWEST, default=False)
def recording_interface(session: nox.Session) -> None:
    """Run the tests of llm-gemini, which are written for pytest-recording, without that plugin.

    The argument is the repository to clone (default: the one on GitHub).
    """
    (repository,) = session.posargs or ("https://github.com/simonw/llm-gemini",)
    clone = session.create_tmp()
    session.run("git", "clone", "--depth=1", repository, f"{clone}/suite", external=True)
    session.install("--editable", ".[test]", "pytest-asyncio", f"{clone}/suite")
    session.chdir(f"{clone}/suite")
    session.run("pytest", "--cassettes-option=vcr_compatible_matching=true")


@nox.session(python=LOWEST, default=False)
@nox.parametrize("suite", list(SUITES), ids=list(SUITES))
def unused(session: nox.Session, suite: str) -> None:
    """Run the tests of another project without Multitrack and with it, and compare the outcome of each test.

    The tests are those of the current release: the source distribution contains them. A test with different outcomes is
    repeated, because some of these tests are flaky. The session fails if a test has no outcome in common.
    """
    (project, group), options = SUITES[suite]
    package = Path.cwd()
    folder = Path(session.create_tmp(), "sources")
    # an earlier session may have left an older release
    shutil.rmtree(folder, ignore_errors=True)
    session.install("pip", "pytest-reportlog")
    session.run(*PIP, "download", "--no-deps", f"--no-binary={suite}", f"--dest={folder}", suite)
    (archive,) = folder.glob(f"{suite}-*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    source = folder / archive.name.removesuffix(".tar.gz")
    # only Multitrack differs between the runs, so that its requirements are installed for all of them
    metadata = PYPROJECT["project"]
    requirements = (*metadata["dependencies"], *metadata["optional-dependencies"]["test"])
    groups = ("--group", f"{source / 'pyproject.toml'}:{group}") if group else ()
    session.install(*requirements, *groups, "--editable", f"{source}{project.removeprefix(suite)}")
    session.chdir(source)

    def run_tests(*tests: str) -> dict[str, str]:
        report = folder / "outcomes.jsonl"
        # some of the tests need a network
        session.run("pytest", *tests, f"--report-log={report}", success_codes=[0, 1])
        return read_outcomes(report)

    without: dict[str, set[str]] = {}
    beside: dict[str, set[str]] = {}
    tests = options
    for _ in range(ROUNDS):
        add_outcomes(without, run_tests(*tests))
        session.install("--no-deps", "--editable", str(package))
        add_outcomes(beside, run_tests(*tests))
        session.run(*PIP, "uninstall", "--yes", metadata["name"])
        different = sorted(test for test in {*without, *beside} if without.get(test) != beside.get(test))
        if not different:
            break
        # whole files, because a test may depend on the tests before it
        files = {test.partition("::")[0] for test in different}
        tests = (*sorted(files), *options[1:])
    found = {test: (without.get(test, set()), beside.get(test, set())) for test in {*without, *beside}}
    unsteady = sorted(test for test, (before, after) in found.items() if len(before | after) > 1)
    for test in unsteady:
        session.warn(f"{test}: without Multitrack {found[test][0]}, with Multitrack {found[test][1]}")
    affected = [test for test in unsteady if found[test][0].isdisjoint(found[test][1])]
    if affected or not without:
        session.error(f"{len(affected)} of {len(without)} tests have a different outcome")
    session.log(f"{len(without)} tests of {archive.name}: same outcomes; flaky: {len(unsteady)}")


@nox.session(python=LATER)
def later(session: nox.Session) -> None:
    """Test the newest release of everything on a later Python."""
    install(session)
    run(session, EVERYTHING)


def read_outcomes(report: Path) -> dict[str, str]:
    """Return the outcomes of the phases of each test in a file of pytest-reportlog."""
    outcomes: dict[str, str] = {}
    for line in report.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["$report_type"] == "TestReport":
            outcome = f"{entry['when']} {entry['outcome']}{' (xfail)' if 'wasxfail' in entry else ''}"
            outcomes[entry["nodeid"]] = ", ".join([*filter(None, [outcomes.get(entry["nodeid"])]), outcome])
    return outcomes


def add_outcomes(found: dict[str, set[str]], outcomes: Mapping[str, str]) -> None:
    for test, outcome in outcomes.items():
        found.setdefault(test, set()).add(outcome)


def floors(requirements: Iterable[str]) -> Iterator[str]:
    """Yield a pin to the lower bound of each of ``requirements``."""
    for requirement in map(Requirement, requirements):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                yield f"{requirement.name}=={bound.version}"


def install(session: nox.Session, *pins: str) -> None:
    session.install("--editable", ".[all]", "--group", "test", *pins)


def run(session: nox.Session, tests: Iterable[str], options: Iterable[str] = IN_PARALLEL) -> None:
    # mypy's cache is only valid for the environment that it was written in
    cache = f"cache_dir={session.virtualenv.location}/.pytest_cache"
    # python -m also finds the packages of the repository that are not installed, such as scripts
    session.run("python", "-m", "pytest", *tests, *options, "--override-ini", cache, *session.posargs)
