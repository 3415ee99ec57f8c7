"""The ``StandIn`` context manager, which starts the servers of the stand-in provider and provides their addresses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from multitrack.standin.environment import build_environment
from multitrack.standin.http_server import HttpServer
from multitrack.standin.provider import Provider
from multitrack.standin.proxy import Proxy
from multitrack.standin.recorded_responses import RecordedResponses, read_recorded_responses
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import Rule, Script, read_rules

if TYPE_CHECKING:
    from multitrack.standin.account import ServiceAccount


class StandIn:
    """A local provider that speaks the wire formats of OpenAI, Anthropic, Amazon Bedrock, Gemini, Ollama and xAI.

    ::

        with StandIn(rules=[Rule(prompt="hi", text="hello")]) as standin:
            client = openai.OpenAI(base_url=standin.openai_base_url, api_key="any")

    Args:
        rules: The rules that select the answer to each request. These rules are tried before the rules of ``script``.
        script: A YAML file of rules, see ``multitrack.standin.script``.
        answers: A file of recorded responses, see ``multitrack.standin.recorded_responses``. A recorded response is
            preferred to the rules.
        hosts: Names or globs of additional hosts that the stand-in imitates. It always imitates the hosts of OpenAI,
            Azure OpenAI, Anthropic, Amazon Bedrock and Google.
        port: The port for plain HTTP and for the proxy. 0, the default, picks a free one.

    Raises:
        ScriptError: A file cannot be read or has a mistake.
        OSError: On entering the context, if the port is not available.
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
        all_rules = [*rules, *(read_rules(Path(script)) if script is not None else ())]
        recorded = read_recorded_responses(Path(answers)) if answers is not None else RecordedResponses([])
        self._provider = Provider(Script(all_rules), recorded)
        self._proxy = Proxy(self._provider, {*hosts, *recorded.hosts})
        self._requested_port = port
        self._http_server: HttpServer | None = None

    def __enter__(self) -> Self:
        self._http_server = HttpServer(self._requested_port, self._provider, self._proxy)
        self._http_server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running_server.stop()
        self._proxy.stop()
        if "_folder" in self.__dict__:
            self._folder.cleanup()

    @property
    def _running_server(self) -> HttpServer:
        if self._http_server is None:
            raise RuntimeError("the stand-in is not running; start it with `with StandIn(...) as standin:`")
        return self._http_server

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests received so far, in order, except ``auth_requests``."""
        return self._provider.log.copy()

    @property
    def auth_requests(self) -> list[ReceivedRequest]:
        """The requests that Google's authentication libraries made on their own, sometimes in background threads."""
        return self._provider.auth_log.copy()

    @property
    def abandoned(self) -> list[ReceivedRequest]:
        """The requests whose client disconnected before the end of the answer, in the order of detection."""
        return self._provider.abandoned.copy()

    def open(self, gate: str) -> None:
        """Release one answer that is waiting at ``gate``.

        If no answer is waiting there, release the next answer that arrives. If a gate is not opened within ten seconds,
        the answer ends early.
        """
        self._provider.gates.open(gate)

    @property
    def connections(self) -> int:
        """The number of connections accepted so far."""
        return self._running_server.connections

    @property
    def port(self) -> int:
        """The port for plain HTTP and for the CONNECT proxy."""
        return self._running_server.port

    @property
    def grpc_port(self) -> int:
        """The port for gRPC over TLS, for clients that do not use the proxy. Starts the gRPC server."""
        return self._proxy.grpc.port

    @property
    def openai_base_url(self) -> str:
        """The value of ``OPENAI_BASE_URL`` that makes OpenAI clients use the stand-in, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """The value of ``ANTHROPIC_BASE_URL`` that makes Anthropic clients use the stand-in, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

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
        """The file that holds the certificate of the temporary certificate authority."""
        path = Path(self._folder.name, "certificate-authority.pem")
        path.write_bytes(self._proxy.authority.certificate)
        return path

    @cached_property
    def credentials(self) -> Path:
        """The file that holds the service account's key."""
        path = Path(self._folder.name, "service-account.json")
        path.write_text(self.account.key_file, "utf-8")
        return path

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment variables that make unmodified clients send their requests to the stand-in.

        The clients still use the providers' hosts.
        """
        return build_environment(
            proxy_url=self.proxy_url,
            certificate_authority=self.certificate_authority,
            credentials=self.credentials,
            project=self.account.project,
        )
