"""What the clients of Google's two SDKs have in common: `create`, by messages in OpenAI's form.

The SDKs differ in how a request is written and in what their answers are; nothing else is told here twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from multitrack.clients.question import Question
from multitrack.extraction import Extraction, OnError
from multitrack.wires import read_answer
from multitrack.wires.gemini_messages import Conversation, conversation

if TYPE_CHECKING:
    from typing_extensions import TypeForm

R = TypeVar("R")
T = TypeVar("T")

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]]

_WIRE = "gemini"


class GeminiClient(ABC, Generic[R]):
    """Asks Gemini by an SDK whose responses are ``R``."""

    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(self, messages: Messages, response_model: None = None, **arguments: Any) -> R: ...
    def create(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """The `Extraction` of the model's answer to ``messages``; without ``response_model`` the answer itself.

        Other arguments go to the SDK's ``generate_content``. Raises TypeError for a ``response_model`` or an
        argument that cannot be and ValueError for a message that Gemini cannot be told, before any request,
        and the family of `ExtractionError` for an answer that gives no valid models.
        """
        told = conversation(messages)
        if response_model is None:
            return self._generate(told, arguments, None)
        question, arguments = self._asked(response_model, arguments)
        with question.sending():
            raw = self._generate(told, arguments, question.tools)
        return self._extracted(question, raw)

    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create_async(self, messages: Messages, response_model: None = None, **arguments: Any) -> R: ...
    async def create_async(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """As `create`, by the SDK's asynchronous ``generate_content``."""
        told = conversation(messages)
        if response_model is None:
            return await self._generate_async(told, arguments, None)
        question, arguments = self._asked(response_model, arguments)
        with question.sending():
            raw = await self._generate_async(told, arguments, question.tools)
        return self._extracted(question, raw)

    def _asked(self, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], dict[str, Any]]:
        """The question, and the arguments that are the SDK's."""
        options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
        own_tools = options.pop("tools", None) or self._own_tools(arguments)
        return Question(_WIRE, response_model, tools=own_tools, **options), arguments

    def _extracted(self, question: Question[Any], raw: R) -> Extraction[Any]:
        return question.answered(read_answer(self._document(raw), _WIRE), raw=raw, usage=self._usage(raw))

    @abstractmethod
    def _generate(self, told: Conversation, arguments: dict[str, Any], tools: Tools | None) -> R:
        """The SDK's answer. ``tools`` are None where no models are asked for."""

    @abstractmethod
    async def _generate_async(self, told: Conversation, arguments: dict[str, Any], tools: Tools | None) -> R:
        """As `_generate`."""

    @abstractmethod
    def _own_tools(self, arguments: Mapping[str, Any]) -> object:
        """The tools of the caller's own, beside which no others can be sent."""

    @abstractmethod
    def _document(self, raw: R) -> Mapping[str, Any]:
        """``raw`` as it is on the wire."""

    @abstractmethod
    def _usage(self, raw: R) -> Any:
        """The usage in ``raw``, as the SDK has it."""
