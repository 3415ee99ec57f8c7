"""``multitrack revalidate`` validates recorded calls with the current models, and only imports allowed packages."""

import json
import re
from textwrap import dedent

import pytest
from command_line import run_multitrack

from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

MODELS = """
from pydantic import BaseModel, Field


class Weather(BaseModel):
    location: str
    units: str


class Stop(BaseModel):
    city: str
    nights: int = Field(alias="for")


class Trip(BaseModel):
    stops: list[Stop]
"""
ALLOWED = "[tool.multitrack.models]\npackages = ['trip']\n"
TORONTO = ("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ("Weather", {"location": "Dallas", "units": "imperial"})
TRIP = ("Trip", {"stops": [{"city": "Rome", "for": 2}, {"city": "Oslo", "for": 1}]})


@pytest.fixture
def project(tmp_path):
    (tmp_path / "trip").mkdir()
    (tmp_path / "trip/__init__.py").touch()
    (tmp_path / "trip/models.py").write_text(MODELS)
    (tmp_path / "pyproject.toml").write_text(ALLOWED)
    return tmp_path


def write_cassette(path, *calls, models="trip.models", results=None, tests=()):
    functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
    message = {
        "role": "assistant",
        "tool_calls": [{"id": "call", "type": "function", "function": f} for f in functions],
    }
    document = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    paths = {name: f"{models}:{name}" for name, _ in calls} if models else {}
    interaction = Interaction(
        Request("POST", "https://api.openai.com/v1/chat/completions", (), b'{"model": "gpt-4o-mini"}'),
        Response(200, "OK", (("content-type", "application/json"),), json.dumps(document).encode()),
        models=tuple(paths.items()),
        results=results,
        tests=tests,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write(path, Cassette((interaction,), {"format": 1}))


def revalidate(project, *arguments):
    return run_multitrack("revalidate", *arguments, cwd=project)


def assert_report(project, code, lines, *arguments):
    finished = revalidate(project, *(arguments or ("cassettes",)))
    assert not finished.stderr
    assert finished.stdout.splitlines() == lines
    assert finished.returncode == code


def test_calls_that_match_the_models(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO, DALLAS)
    write_cassette(project / "cassettes/deep/b.yaml", TRIP)
    assert_report(project, 0, ["3 calls in 2 cassettes match the current models"])


def test_calls_that_no_longer_match_the_models(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO, DALLAS)
    write_cassette(project / "cassettes/b.yaml", TRIP)
    write_cassette(project / "cassettes/c.pending.yaml", DALLAS)
    models = (project / "trip/models.py").read_text()
    models = models.replace("    units: str", "    units: Literal['metric']\n    days: int")
    models = models.replace("nights: int", "nights: bool")
    (project / "trip/models.py").write_text("from typing import Literal\n" + models)
    assert_report(
        project,
        1,
        [
            "cassettes/a.yaml: interaction 1, call 1: Weather.days at $.days: Field required",
            "cassettes/a.yaml: interaction 1, call 2: Weather.units at $.units: "
            "Input should be 'metric', not 'imperial'",
            "cassettes/a.yaml: interaction 1, call 2: Weather.days at $.days: Field required",
            "cassettes/b.yaml: interaction 1, call 1: Stop.nights at $.stops[0].for: "
            "Input should be a valid boolean, unable to interpret input, not 2",
            "3 of 3 calls do not match the current models, in 2 of 2 cassettes",
        ],
        "cassettes/a.yaml",
        "cassettes/b.yaml",
    )


def test_pending_recordings_are_only_validated_if_they_are_named(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO)
    write_cassette(project / "cassettes/b.pending.yaml", ("Weather", {"location": "Rome"}))
    not_checked = "not checked: 1 file with pending recordings (multitrack accept moves them into the cassettes)"
    assert_report(project, 0, ["1 call in 1 cassette matches the current models", not_checked])
    named = revalidate(project, "cassettes/b.pending.yaml")
    assert "Weather.units at $.units: Field required" in named.stdout
    assert named.returncode == 1


def test_the_report_as_json(project):
    write_cassette(project / "cassettes/a.yaml", ("Weather", {"location": "Rome"}))
    finished = revalidate(project, "--json", "cassettes")
    assert finished.returncode == 1
    assert json.loads(finished.stdout) == {
        "tapes": 1,
        "calls": 1,
        "breaks": [
            {
                "tape": "cassettes/a.yaml",
                "interaction": 1,
                "call": 1,
                "model": "Weather",
                "field": "units",
                "path": "$.units",
                "error": "Field required",
            }
        ],
        "unchecked": [],
        "unreadable": [],
    }


def test_a_call_that_was_invalid_when_its_test_passed_is_not_a_problem(project):
    rome = ("Weather", {"location": "Rome"})
    write_cassette(project / "cassettes/a.yaml", rome, TORONTO, results=("invalid:12345678", "12345678"))
    assert_report(project, 0, ["2 calls in 1 cassette match the current models"])


def test_arguments_that_are_not_json(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO)
    text = (project / "cassettes/a.yaml").read_text()
    (project / "cassettes/a.yaml").write_text(text.replace(r"\"metric\"}", ""))
    finished = revalidate(project, "cassettes")
    line, last = finished.stdout.splitlines()
    assert line.startswith("cassettes/a.yaml: interaction 1, call 1: Weather at $: call 1 of 1 (id 'call'), Weather: ")
    assert "not valid JSON" in line
    assert last == "1 of 1 call does not match the current models, in 1 of 1 cassette"
    assert finished.returncode == 1


def test_a_validator_that_needs_a_context_is_reported(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO, TRIP)
    validator = """
    @field_validator("units")
    def _known(cls, value, info):
        return info.context["units"][value]
    """
    models = (project / "trip/models.py").read_text().replace("    units: str\n", "    units: str\n" + validator)
    (project / "trip/models.py").write_text("from pydantic import field_validator\n" + models)
    assert_report(
        project,
        0,
        [
            "not checked: 1 call of Weather: a validator raised TypeError: 'NoneType' object is not subscriptable",
            "1 call in 1 cassette matches the current models",
        ],
    )


def test_a_damaged_cassette_is_a_problem(project):
    write_cassette(project / "cassettes/a.yaml", TORONTO)
    (project / "cassettes/b.yaml").write_text("interactions: [")
    finished = revalidate(project, "cassettes")
    lines = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert lines[0].startswith("cassettes/b.yaml, line 2: the cassette is damaged: ")
    assert lines[1:] == ["1 call in 1 cassette matches the current models"]


def test_a_path_that_does_not_exist(project):
    finished = revalidate(project, "no.yaml")
    assert finished.stderr.startswith("multitrack: no.yaml: there is no such cassette\n")
    assert finished.returncode == 1


class TestImports:
    """Anyone can write a cassette, so it can only cause imports of models in packages that the project allows."""

    def assert_unchecked(self, project, *, named, reason, name="Weather"):
        write_cassette(project / "cassettes/a.yaml", (name, {}), models=named)
        assert_report(
            project,
            1,
            [f"not checked: 1 call of {name}: {reason}", "0 calls in 1 cassette match the current models"],
        )

    @pytest.mark.parametrize("folder", ["", "src"])
    def test_without_configuration_the_projects_own_modules_are_imported(self, project, folder):
        (project / "pyproject.toml").write_text("")
        (project / folder).mkdir(exist_ok=True)
        (project / "trip").rename(project / folder / "trip")
        write_cassette(project / "cassettes/a.yaml", TORONTO)
        assert_report(project, 0, ["1 call in 1 cassette matches the current models"])

    def test_without_configuration_models_of_a_test_module_are_imported(self, project):
        (project / "pyproject.toml").write_text("")
        (project / "tests").mkdir()
        (project / "trip/models.py").rename(project / "tests/test_trip.py")
        write_cassette(project / "cassettes/a.yaml", TORONTO, models="test_trip", tests=("tests/test_trip.py::test_a",))
        assert_report(project, 0, ["1 call in 1 cassette matches the current models"])

    def test_without_configuration_no_other_module_is_imported(self, project, tmp_path_factory, monkeypatch):
        (project / "pyproject.toml").write_text("")
        installed = tmp_path_factory.mktemp("site-packages")
        (installed / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\nclass Weather: ...")
        monkeypatch.syspath_prepend(installed)
        write_cassette(
            project / "cassettes/a.yaml", TORONTO, models="evil", tests=(f"{installed}/evil.py::a", "../evil.py::b")
        )
        assert_report(
            project,
            0,
            [
                "1 recorded call in 1 cassette, none checked yet",
                "To check these calls, add the modules that define their models to pyproject.toml:",
                "  [tool.multitrack.models]",
                '  packages = ["evil"]',
            ],
        )
        assert not (project / "ran").exists()

    def test_without_configuration_unknown_models_are_no_failure(self, project):
        (project / "pyproject.toml").write_text("")
        write_cassette(project / "cassettes/a.yaml", TORONTO, TRIP, models=None)
        assert_report(
            project,
            0,
            [
                "2 recorded calls in 1 cassette, none checked yet",
                "To check these calls, add the modules that define their models to pyproject.toml:",
                "  [tool.multitrack.models]",
                '  tools = {Trip = "package.module:Trip", Weather = "package.module:Weather"}',
            ],
        )

    @pytest.mark.parametrize("recorded", ["installed_models", None], ids=["known path", "unknown path"])
    def test_the_suggested_settings_check_the_calls(self, project, tmp_path_factory, monkeypatch, recorded):
        (project / "pyproject.toml").write_text("")
        # the models in files of the project are found without settings
        installed = tmp_path_factory.mktemp("site-packages")
        (installed / "installed_models.py").write_text(MODELS)
        monkeypatch.syspath_prepend(installed)
        write_cassette(project / "cassettes/a.yaml", TORONTO, models=recorded)
        lines = revalidate(project, "cassettes").stdout.splitlines()
        settings = dedent("\n".join(lines[lines.index("  [tool.multitrack.models]") :])) + "\n"
        (project / "pyproject.toml").write_text(settings.replace("package.module", "installed_models"))
        assert_report(project, 0, ["1 call in 1 cassette matches the current models"])

    def test_the_setting_in_a_reason_checks_the_calls(self, project):
        (project / "pyproject.toml").write_text("[tool.multitrack.models]\npackages = ['other']\n")
        write_cassette(project / "cassettes/a.yaml", TORONTO)
        write_cassette(project / "cassettes/b.yaml", ("trip.plan", {"stops": []}), models=None)
        out = revalidate(project, "cassettes").stdout
        table = re.search(r"in \[(\S+)\]: ", out)[1]
        settings = [line.partition("]: ")[2] for line in out.splitlines() if "]: " in line]
        assert len(settings) == 2
        text = f"[{table}]\n" + "\n".join(settings).replace("package:Class", "trip.models:Trip") + "\n"
        (project / "pyproject.toml").write_text(text)
        assert_report(project, 0, ["2 calls in 2 cassettes match the current models"])

    @pytest.mark.parametrize("module", ["evil", "trip_evil", "trip.evil"])
    def test_a_module_that_is_not_allowed_never_runs(self, project, module):
        (project / "pyproject.toml").write_text(ALLOWED.replace("'trip'", "'trip.models', 'trip_e'"))
        file = project / f"{module.replace('.', '/')}.py"
        file.write_text("from pathlib import Path\nPath('ran').touch()\nfrom trip.models import Weather")
        self.assert_unchecked(
            project,
            named=module,
            reason=f"{module}:Weather must not be imported; to allow the import, add to pyproject.toml, in "
            "[tool.multitrack.models]: "
            f"packages = ['{module}']",
        )
        assert not (project / "ran").exists()

    @pytest.mark.parametrize(
        "name", ["system", "environ", "Thing", "BaseModel", "Field", "__builtins__", "Weather.model_config"]
    )
    def test_a_name_that_is_not_a_model_of_the_module(self, project, name):
        (project / "trip/other.py").write_text(
            dedent(
                """
                from os import environ, system
                from pydantic import BaseModel, Field
                from trip.models import Weather

                class Thing:
                    pass
                """
            )
        )
        self.assert_unchecked(
            project, named="trip.other", name=name, reason=f"trip.other:{name} is not a Pydantic model"
        )

    def test_a_name_from_a_module_getattr_is_not_a_model(self, project):
        (project / "trip/other.py").write_text("def __getattr__(name):\n    raise SystemExit(name)")
        self.assert_unchecked(project, named="trip.other", reason="trip.other:Weather is not a Pydantic model")

    @pytest.mark.parametrize("module", ["trip.__main__", "trip.scripts.drop"])
    def test_a_script_in_an_allowed_package_does_not_run_if_it_does_not_define_the_name(self, project, module):
        file = project / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text("from pathlib import Path\nPath('ran').touch()\nfrom trip.models import Weather")
        self.assert_unchecked(project, named=module, reason=f"{module}:Weather is not a Pydantic model")
        assert not (project / "ran").exists()

    def test_a_module_that_raises_system_exit_does_not_end_the_command(self, project):
        (project / "trip/other.py").write_text("class Weather: ...\nraise SystemExit(0)")
        self.assert_unchecked(
            project, named="trip.other", reason="trip.other:Weather cannot be imported: SystemExit: 0"
        )

    @pytest.mark.parametrize(
        "module", ["trip..models", ".trip.models", "trip.models:Weather", "trip/models", "trip\x1b"]
    )
    def test_an_invalid_import_path(self, project, module):
        self.assert_unchecked(project, named=module, reason=f"{f'{module}:Weather'!r} is not an import path")

    def test_a_model_made_by_create_model(self, project):
        (project / "trip/other.py").write_text(
            "from pydantic import create_model\nWeather = create_model('Weather', __module__=__name__)"
        )
        write_cassette(project / "cassettes/a.yaml", TORONTO, models="trip.other")
        assert_report(project, 0, ["1 call in 1 cassette matches the current models"])

    def test_a_module_that_does_not_exist(self, project):
        self.assert_unchecked(
            project,
            named="trip.gone",
            reason="trip.gone:Weather cannot be imported: ModuleNotFoundError: No module named 'trip.gone'",
        )

    def test_the_project_sets_the_models_of_tools(self, project):
        (project / "pyproject.toml").write_text(
            "[tool.multitrack.models]\ntools = {Weather = 'trip.models:Weather', trip = 'trip.models:Trip'}\n"
        )
        write_cassette(project / "cassettes/a.yaml", ("Weather", {}), ("trip", {}), ("Search", {}), models=None)
        assert_report(
            project,
            1,
            [
                "cassettes/a.yaml: interaction 1, call 1: Weather.location at $.location: Field required",
                "cassettes/a.yaml: interaction 1, call 1: Weather.units at $.units: Field required",
                "cassettes/a.yaml: interaction 1, call 2: Trip.stops at $.stops: Field required",
                "not checked: 1 call of Search: the model of this tool is unknown; "
                "add the model to pyproject.toml, in [tool.multitrack.models]: tools = {Search = 'package:Class'}",
                "2 of 2 calls do not match the current models, in 1 of 1 cassette",
            ],
        )

    def test_the_pythonpath_of_pytest_is_used(self, project):
        (project / "trip").rename(project / "moved")
        (project / "src").mkdir()
        (project / "moved").rename(project / "src/trip")
        (project / "pyproject.toml").write_text(f"{ALLOWED}[tool.pytest.ini_options]\npythonpath = ['src']\n")
        write_cassette(project / "cassettes/a.yaml", TORONTO)
        assert_report(project, 0, ["1 call in 1 cassette matches the current models"])

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (
                "models = 'trip'",
                "models must have packages = ['trip.models'] and tools = {Weather = 'trip.models:Weather'}",
            ),
            ("models = {package = []}", "not {'package': []}"),
            ("models = {packages = 'trip'}", "models.packages must be a list of packages, not 'trip'"),
            (
                "models = {tools = {A = 'trip.A'}}",
                "models.tools must have paths like 'trip.models:Weather', not {'A': 'trip.A'}",
            ),
        ],
    )
    def test_an_invalid_models_table(self, project, table, message):
        (project / "pyproject.toml").write_text(f"[tool.multitrack]\n{table}\n")
        finished = revalidate(project, ".")
        assert finished.returncode == 1
        assert finished.stderr.startswith(f"multitrack: {project}/pyproject.toml: [tool.multitrack]: models")
        assert message in finished.stderr
