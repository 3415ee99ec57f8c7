"""A model whose replies change, and the table that a drift run prints about it."""

import json
import textwrap

from local_provider import ProviderAnswer, completion

TORONTO = ("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ("Weather", {"location": "Dallas", "units": "imperial"})
DALLAS_METRIC = ("Weather", {"location": "Dallas", "units": "metric"})
SEARCH = ("GoogleSearch", {"query": "who won the super bowl"})


class DriftingModel:
    """Answers each prompt with its entry in ``replies``, and never uses an id twice."""

    def __init__(self):
        self.replies = {}
        self.count = 0

    def __call__(self, request):
        self.count += 1
        reply = self.replies[request.json["messages"][0]["content"]]
        return reply(request) if callable(reply) else reply

    def calls_reply(self, *calls, content=None, finish="tool_calls", **message):
        def reply(_):
            tool_calls = [
                {
                    "id": f"call_{self.count}_{position}",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                }
                for position, (name, arguments) in enumerate(calls)
            ]
            document = json.loads(completion(content, **({"tool_calls": tool_calls} if calls else {}), **message))
            document["id"] = f"chatcmpl-{self.count}"
            document["choices"][0]["finish_reason"] = finish if calls else "stop"
            return ProviderAnswer(json.dumps(document).encode())

        return reply

    def text_reply(self, text):
        return self.calls_reply(content=text)

    def conversation(self, *replies):
        """Answer with the reply at the position that follows from the number of earlier replies in the request."""
        return lambda request: replies[sum(one["role"] == "assistant" for one in request.json["messages"])](request)

    def in_order(self, *replies):
        """Answer each request with the next of ``replies``."""
        remaining = list(replies)
        return lambda request: remaining.pop(0)(request)


def read_table(run):
    """Return the lines of the drift table, without empty ones."""
    start = max((number for number, line in enumerate(run.lines) if line.strip("= ") == "drift"), default=None)
    assert start is not None, run.out + run.err
    *lines, last = [line for line in run.lines[start + 1 :] if line]
    assert last.startswith("=")
    return lines


def split_lines(text):
    return textwrap.dedent(text).strip("\n").splitlines()
