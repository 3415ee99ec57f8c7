"""Known secrets are found in every form in which pytest prints a value."""

import pytest

from pytest_multitrack.secret_search import SecretSearch

KEY = "k4Tq9ZxW2mLp7RvB5nYc8sDf"
QUOTED = """pa'ss"wo\\rd%4Zq9x!"""
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY}{KEY}\n{KEY[::-1]}{KEY}==\n-----END PRIVATE KEY-----\n"


def hide(secret, text, *, may_be_cut=False):
    search = SecretSearch()
    search.add([secret])
    return search.hide(text, may_be_cut=may_be_cut)


@pytest.mark.parametrize(
    ("secret", "printed"),
    [
        (KEY, f"{KEY[:9]}\n{KEY[9:]}"),
        (KEY, f"b'{KEY[:12]}'\nE    b'{KEY[12:]}'"),
        (KEY, f"E     - {KEY[:12]}\nE     - {KEY[12:]}"),
        (QUOTED, repr(QUOTED)),
        (QUOTED, repr(repr(QUOTED))),
        (PEM, "E   " + PEM.replace("\n", "\nE   ")),
        (PEM, "  | " + PEM.replace("\n", "\n  | ")),
        (PEM, repr(PEM)),
    ],
    ids=["wrapped", "bytes", "difference", "repr", "repr of repr", "error", "group", "repr of lines"],
)
def test_a_whole_secret_is_hidden(secret, printed):
    hidden = hide(secret, f"before {printed} after")
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "__redacted__" in hidden
    # nothing but margins and punctuation is left
    assert not set(hidden.replace("__redacted__", "")) & set("Tq9ZxW2mLp7RvB5Yc8sD")


def test_a_private_key_is_hidden_although_its_value_is_unknown():
    assert hide("unknown-0123456789", f"a {PEM}b") == "a __redacted__\nb"


@pytest.mark.parametrize(
    ("printed", "hidden"),
    [
        (f"'{KEY[:8]}...tail'", "'__redacted__...tail'"),
        (f"'head...{KEY[-8:]}'", "'head...__redacted__'"),
        (
            f"Skipping 45 identical leading characters\nE  - {KEY[6:15]}",
            "Skipping 45 identical leading characters\nE  - ",
        ),
        (f"E  - {KEY[3:15]}", "E  - __redacted__"),
        (f"x{KEY[3:19]}x", "x__redacted__x"),
    ],
    ids=["beginning", "end", "skipped", "line", "long"],
)
def test_a_part_of_a_secret_is_hidden(printed, hidden):
    assert hide(KEY, printed, may_be_cut=True).startswith(hidden)
    assert hide(KEY, printed) == printed


@pytest.mark.parametrize(
    ("secret", "printed"),
    [
        (KEY, f"'{KEY[:7]}...tail'"),
        (KEY, f"a word {KEY[:11]} in a line"),
        ("pass-word-pass", "password..."),
        ("correct-horse-battery", "the correct horse is"),
        (KEY, KEY.lower()),
    ],
)
def test_other_text_is_kept(secret, printed):
    assert hide(secret, printed, may_be_cut=True) == printed
