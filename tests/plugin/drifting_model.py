"""A model that answers otherwise than it did, and the table of a run that tells of it."""

import json
import textwrap

from local_provider import Answer, completion

TORONTO = ("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ("Weather", {"location": "Dallas", "units": "imperial"})
DALLAS_METRIC = ("Weather", {"location": "Dallas", "units": "metric"})
SEARCH = ("GoogleSearch", {"query": "who won the super bowl"})


class Model:
    """Answers each prompt as ``says`` tells, with ids that no other answer has."""

    def __init__(self):
        self.says = {}
        self.count = 0

    def __call__(self, request):
        self.count += 1
        told = self.says[request.json["messages"][0]["content"]]
        return told(request) if callable(told) else told

    def calling(self, *calls, content=None, finish="tool_calls", **message):
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
            return Answer(json.dumps(document).encode())

        return reply

    def saying(self, text):
        return self.calling(content=text)

    def turns(self, *answers):
        """A conversation: each answer follows what came before."""
        return lambda request: answers[sum(one["role"] == "assistant" for one in request.json["messages"])](request)

    def one_by_one(self, *answers):
        waiting = list(answers)
        return lambda request: waiting.pop(0)(request)


def table(run):
    """The lines of the table, without those that are empty."""
    start = max((number for number, line in enumerate(run.lines) if line.strip("= ") == "drift"), default=None)
    assert start is not None, run.out + run.err
    *lines, last = [line for line in run.lines[start + 1 :] if line]
    assert last.startswith("=")
    return lines


def lines(text):
    return textwrap.dedent(text).strip("\n").splitlines()
