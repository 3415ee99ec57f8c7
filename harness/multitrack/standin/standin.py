"""The stand-in as one object: a context manager that starts its servers and says how to reach them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from multitrack.standin import environment
from multitrack.standin.answers import RecordedAnswers, read_answers
from multitrack.standin.http_server import HttpServer
from multitrack.standin.provider import Provider
from multitrack.standin.proxy import Proxy
from multitrack.standin.received import Received
from multitrack.standin.script import Rule, Script, read_rules

if TYPE_CHECKING:
    from multitrack.standin.account import ServiceAccount


class StandIn:
    """A local provider that speaks OpenAI's and Vertex AI's wires.

    ``rules`` (given first) and the rules of the YAML file ``script`` say what is answered; ``answers`` is a
    file of recorded answers, which come before the rules; ``hosts`` are more names (globs) to stand in for
    beside the providers' own. ``port`` 0 takes a free one. Raises `ScriptError` for a file
    that cannot be used; entering it, `OSError` where the port cannot be had.

    ::

        with StandIn(rules=[Rule(prompt="hi", text="hello")]) as standin:
            client = openai.OpenAI(base_url=standin.openai_base_url, api_key="any")
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        script: Path | str | None = None,
        answers: Path | str | None = None,
        hosts: Iterable[str] = (),
        port: int = 0,
    ) -> None:
        every_rule = [*rules, *(read_rules(Path(script)) if script is not None else ())]
        recorded = read_answers(Path(answers)) if answers is not None else RecordedAnswers([])
        self._provider = Provider(Script(every_rule), recorded)
        self._proxy = Proxy(self._provider, {*hosts, *recorded.hosts})
        self._wanted_port = port
        self._started: HttpServer | None = None

    def __enter__(self) -> Self:
        self._started = HttpServer(self._wanted_port, self._provider, self._proxy)
        self._started.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._proxy.stop()
        if "_folder" in self.__dict__:
            self._folder.cleanup()

    @property
    def _server(self) -> HttpServer:
        if self._started is None:
            raise RuntimeError("the stand-in is not running: start it by `with StandIn(...) as standin:`")
        return self._started

    @property
    def requests(self) -> list[Received]:
        """What was received so far, in order, `auth_requests` excepted."""
        return self._provider.log.requests()

    @property
    def auth_requests(self) -> list[Received]:
        """What Google's authentication libraries sent on their own, some of it from background threads."""
        return self._provider.auth_log.requests()

    @property
    def abandoned(self) -> list[Received]:
        """Those of the requests whose client left before the end of the answer, in the order in which it was seen."""
        return self._provider.abandoned.requests()

    def open(self, gate: str) -> None:
        """Let one answer through the ``gate`` of that name in the script, now or when it comes there.

        A gate that nobody opens for ten seconds breaks off the answer.
        """
        self._provider.gates.open(gate)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._server.connections

    @property
    def port(self) -> int:
        """The port of plain HTTP and of the CONNECT proxy."""
        return self._server.port

    @property
    def grpc_port(self) -> int:
        """The port of gRPC over TLS, for clients that do not go through the proxy. Starts the gRPC server."""
        return self._proxy.grpc.port

    @property
    def openai_base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` may be, to reach the stand-in over plain HTTP."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def proxy_url(self) -> str:
        """The URL of the CONNECT proxy."""
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="multitrack-standin-")

    @cached_property
    def account(self) -> ServiceAccount:
        """The generated Google service account."""
        from multitrack.standin.account import ServiceAccount

        return ServiceAccount.generate()

    @cached_property
    def certificate_authority(self) -> Path:
        """The file with the throwaway authority's certificate."""
        path = Path(self._folder.name, "certificate-authority.pem")
        path.write_bytes(self._proxy.authority.certificate)
        return path

    @cached_property
    def credentials(self) -> Path:
        """The file with the service account's key."""
        path = Path(self._folder.name, "service-account.json")
        path.write_text(self.account.key_file, "utf-8")
        return path

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment in which unmodified clients reach the stand-in under the providers' names."""
        return environment.variables(
            proxy_url=self.proxy_url,
            certificate_authority=self.certificate_authority,
            credentials=self.credentials,
            project=self.account.project,
        )
