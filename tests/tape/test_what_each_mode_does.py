"""Check the table of modes in docs/recording.md row by row."""

from pathlib import Path

import pytest
from recorded_tape import request

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Passthrough, Replay
from multitrack.tape.recorder import LiveExchange
from multitrack.tape.tape import Tape

PAGE = Path(__file__).parents[2] / "docs" / "recording.md"
WORDS = {
    "is answered from the tape": Replay,
    "goes live; no tape is read or written": Passthrough,
    "goes live, is": LiveExchange,
    "goes live; the new answer": LiveExchange,
    "goes live each time": LiveExchange,
    "goes live": Passthrough,
    "the test fails": CassetteMiss,
}
MODES = ("replay", "record", "record-missing", "live")
ROWS = {
    row[1].strip().partition(",")[0].partition(" ")[0]: row[2:6]
    for row in (line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines())
    if len(row) == 7 and row[1].strip().startswith(("matches", "differs", "repeats", "is missing"))
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", ["matches", "differs", "repeats", "is"])
def test_the_table_of_modes_in_the_docs_holds(recorded, row, mode):
    told = ROWS[row][MODES.index(mode)].strip()
    expected = next(kind for words, kind in WORDS.items() if told.startswith(words))
    if row != "is":
        recorded.put((request("[1]"), "answer"))
    tape = Tape(recorded.path, mode=mode)
    if row == "repeats":
        tape.route(request("[1]"))
    sent = request("[2]" if row == "differs" else "[1]")
    if expected is CassetteMiss:
        with pytest.raises(CassetteMiss):
            tape.route(sent)
    else:
        assert isinstance(tape.route(sent), expected)
