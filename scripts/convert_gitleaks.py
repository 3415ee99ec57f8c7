"""Convert the rules of gitleaks into the data file that redaction reads.

    git clone --depth 1 https://github.com/gitleaks/gitleaks /tmp/gitleaks
    python scripts/convert_gitleaks.py /tmp/gitleaks

The rules are regular expressions in the syntax of Go. This script translates them into the syntax of Python. It divides
them into three kinds, so that redaction needs to try only a few rules on each text:

- ``prefix``: the secret begins with a fixed text (``sk_live_``).
- ``infix``: a fixed text is inside the secret, or in front of it (``.atlasv1.``).
- ``named``: only the name in front of the secret says which secret it is (``adafruit_key = ...``).

A rule is left out if it only makes sense for files, or if it would mistake ordinary text of models for secrets.
``LEFT_OUT`` gives the reason for each of these rules.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "harness/multitrack/tape/redaction"
RULES = FOLDER / "gitleaks_rules.json"
LICENCE = FOLDER / "gitleaks_rules.LICENSE"

_IDENTIFIER = "its value is an identifier, not a secret, and models write such identifiers"
_FILE = "it describes a kind of file"
_OWN = "a rule of Multitrack covers it, also inside of other texts"
LEFT_OUT = {
    "adobe-client-id": _IDENTIFIER,
    "asana-client-id": _IDENTIFIER,
    "bitbucket-client-id": _IDENTIFIER,
    "discord-client-id": _IDENTIFIER,
    "linkedin-client-id": _IDENTIFIER,
    "looker-client-id": _IDENTIFIER,
    "messagebird-client-id": _IDENTIFIER,
    "plaid-client-id": _IDENTIFIER,
    "sendbird-access-id": _IDENTIFIER,
    "sumologic-access-id": _IDENTIFIER,
    "curl-auth-header": _OWN,
    "curl-auth-user": "models write such commands as examples",
    "facebook-access-token": "its shape is two numbers with a vertical line between them, as in a table",
    "facebook-page-access-token": _OWN,
    "freemius-secret-key": _FILE,
    "generic-api-key": "its shape is any word after a word such as key or auth",
    "gitlab-session-cookie": "it is a cookie, whose value is never stored",
    "hashicorp-tf-password": _FILE,
    "jwt": _OWN,
    "kubernetes-secret-yaml": _FILE,
    "nuget-config-password": _FILE,
    "pkcs12-file": _FILE,
    "private-key": _OWN,
    "sidekiq-secret": _FILE,
    "sidekiq-sensitive-url": _OWN,
    "slack-legacy-workspace-token": _OWN,
}

# parts of rules that also match ordinary values: base64 of zeros, a Git commit, and a method of an object named `s`
_DROPPED_ALTERNATIVES = {
    "square-access-token": r"EAAA|",
    "sourcegraph-access-token": r"|[a-fA-F0-9]{40}",
    "vault-service-token": r"|s\.(?i:[a-z0-9]{24})",
}
# rules whose fixed text is not at the beginning of the secret
_INFIXES = {
    "azure-ad-client-secret": "Q~",
    "hashicorp-tf-api-token": ".atlasv1.",
    "maxmind-license-key": "_mmk",
    "microsoft-teams-webhook": ".webhook.office.com/",
}

# a named rule: the name, any further words, an operator, and the value
_BEFORE_NAME = (r"(?i)[\w.-]{0,50}?", r"[\w.-]{0,50}?(?i:[\w.-]{0,50}?")
_AFTER_NAME = r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3}"""
_OPERATOR = r"""(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
_STARTS = ("(?i)\\b(", "\\b(", "(?i)\\b", "\\b", "(?i)", "(?:^|[\\\\'\"\\x60\\s>=:(,)])(", "(?:https?://)?")
_ENDS = (
    r"""(?:[\x60'"\s;]|\\[nr]|$)""",
    r"""(?:[\x60'"\s;]|\\[nr]|$|\b)""",
    r"""(?:$|[\\'"\x60\s<),])""",
    r"(?:[^\w-]|\z)",
    r"(?:[^a-zA-Z0-9+/]|\z)",
    r"\b",
)
_WORD_ENDS = "(?![A-Za-z0-9])"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python scripts/convert_gitleaks.py", description="Convert gitleaks' rules.")
    parser.add_argument("repository", type=Path, help="a clone of https://github.com/gitleaks/gitleaks")
    repository = parser.parse_args().repository
    source = tomllib.loads(_read(repository, "config/gitleaks.toml"))
    commit, date = _git(repository, "log", "-1", "--format=%H %cs").split()
    unknown = LEFT_OUT.keys() - {rule["id"] for rule in source["rules"]}
    if unknown:
        parser.error(f"LEFT_OUT names rules that gitleaks does not have: {', '.join(sorted(unknown))}")
    rules = [rule for entry in source["rules"] if entry["id"] not in LEFT_OUT for rule in convert_rule(entry)]
    document = {
        "source": "https://github.com/gitleaks/gitleaks",
        "file": "config/gitleaks.toml",
        "commit": commit,
        "date": date,
        "licence": f"MIT, see {LICENCE.name}",
        "converted by": "scripts/convert_gitleaks.py",
        "allowed": [_translate(pattern) for pattern in source["allowlist"]["regexes"]],
        "allowed_words": source["allowlist"]["stopwords"],
        "rules": rules,
        "left_out": LEFT_OUT,
    }
    RULES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    LICENCE.write_text(_read(repository, "LICENSE"), encoding="utf-8")
    print(f"{RULES}: {len(rules)} rules of {len(source['rules'])}, {len(LEFT_OUT)} left out")


def convert_rule(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Convert one rule of gitleaks. Yield one rule, or two if its pattern has two alternatives."""
    pattern = entry["regex"]
    if (dropped := _DROPPED_ALTERNATIVES.get(entry["id"])) is not None:
        if dropped not in pattern:
            raise ValueError(f"{entry['id']}: has no alternative {dropped}")
        pattern = pattern.replace(dropped, "")
    allowed = [item for item in entry.get("allowlists", ()) if "regexes" in item and "paths" not in item]
    details = {
        "id": entry["id"],
        "entropy": entry.get("entropy", 0),
        "allowed": [_translate(regex) for item in allowed for regex in item["regexes"]],
        "allowed_words": [word for item in allowed for word in item.get("stopwords", ())],
    }
    if (start := next((start for start in _BEFORE_NAME if pattern.startswith(start)), None)) is not None:
        name, _, rest = pattern.removeprefix(start).partition(_AFTER_NAME)
        value, end, more = rest.removeprefix(")").removeprefix(_OPERATOR).partition(_ENDS[0])
        if not end:
            raise ValueError(f"{entry['id']}: a named rule of another form: {pattern}")
        value = f"(?i:{value})" if start == _BEFORE_NAME[0] else value
        yield {**details, "kind": "named", "name": _check(f"(?i:{name})"), "pattern": _check(value + _WORD_ENDS)}
        if not more:
            return
        pattern = more.removeprefix("|")
    body = _check(_strip_context(pattern))
    if infix := _INFIXES.get(entry["id"]):
        yield {**details, "kind": "infix", "fixed": [infix], "pattern": body}
        return
    fixed = sorted({keyword.lower() for keyword in _find_prefixes(body)})
    if not fixed or min(map(len, fixed)) < 2:
        raise ValueError(f"{entry['id']}: no fixed text at the beginning of {body}: add it to LEFT_OUT or _INFIXES")
    yield {**details, "kind": "prefix", "fixed": fixed, "pattern": body}


def _strip_context(pattern: str) -> str:
    """Return a pattern that matches the secret alone, if no letter or digit follows it."""
    is_insensitive = pattern.startswith("(?i)")
    start = next((start for start in _STARTS if pattern.startswith(start)), "")
    end = next((end for end in _ENDS if pattern.endswith(end)), "")
    body = pattern[len(start) : len(pattern) - len(end)]
    if start.endswith("("):
        body = f"({body}"
    if end and body.startswith("(") and body.count("(") == body.count(")") + 1:
        raise ValueError(f"unbalanced: {pattern}")
    body = f"(?i:{body})" if is_insensitive else body
    return body + (_WORD_ENDS if end else "")


def _translate(pattern: str) -> str:
    """Translate a regular expression from Go to Python."""
    pattern = pattern.replace("[[:alnum:]]", "[A-Za-z0-9]").replace(r"\z", r"\Z")
    # Python allows flags only at the beginning, or for a group
    while (found := re.search(r"\(\?i\)", pattern)) is not None:
        start, depth, position = found.start(), 0, found.end()
        in_class = False
        while position < len(pattern):
            character = pattern[position]
            if character == "\\":
                position += 1
            elif in_class:
                in_class = character != "]"
            elif character == "[":
                in_class = True
            elif character == "(":
                depth += 1
            elif character == ")":
                if depth == 0:
                    break
                depth -= 1
            position += 1
        pattern = f"{pattern[:start]}(?i:{pattern[found.end() : position]}){pattern[position:]}"
    return pattern


def _check(pattern: str) -> str:
    translated = _translate(pattern)
    re.compile(translated)
    return translated


def _find_prefixes(pattern: str) -> list[str]:
    """Return fixed strings such that each match begins with one of them. Empty if there are none."""
    prefixes, _ = _expand(list(re._parser.parse(pattern)))  # type: ignore[attr-defined]
    return prefixes


def _expand(items: list[tuple[Any, Any]]) -> tuple[list[str], bool]:
    """Return the possible beginnings of a parsed pattern, and whether they are the whole pattern."""
    found = [""]
    for operator, argument in items:
        match str(operator):
            case "LITERAL":
                found = [text + chr(argument) for text in found]
                continue
            case "AT" | "ASSERT_NOT":
                continue
            case "SUBPATTERN":
                inner, is_whole = _expand(list(argument[3]))
            case "BRANCH":
                expanded = [_expand(list(branch)) for branch in argument[1]]
                inner = [text for texts, _ in expanded for text in texts]
                is_whole = all(whole for _, whole in expanded)
            case "IN" if all(str(kind) == "LITERAL" for kind, _ in argument) and len(argument) <= 4:
                inner, is_whole = [chr(code) for _, code in argument], True
            case _:
                return found, False
        found = [text + more for text in found for more in inner]
        if not is_whole:
            return found, False
    return found, True


def _read(repository: Path, path: str) -> str:
    return _git(repository, "show", f"HEAD:{path}")


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
