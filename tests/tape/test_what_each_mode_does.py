"""Check the table of modes in docs/recording.md row by row."""

from pathlib import Path

import pytest
from recorded_tape import request

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Passthrough, Replay
from multitrack.tape.live_exchange import LiveExchange
from multitrack.tape.tape import Tape

PAGE = Path(__file__).parents[2] / "docs" / "recording.md"
OUTCOMES = {
    "replays it": Replay,
    "goes live": Passthrough,
    "goes live and is recorded": LiveExchange,
    "goes live and is added": LiveExchange,
    "goes live; the new response replaces the old one": LiveExchange,
    "fails the test": CassetteMiss,
    "fails the test; replays the last one again with `allow_repeats`": CassetteMiss,
}
MODES = ("replay", "record", "record-missing", "live")
ROWS = {
    row[1].strip(): [cell.strip() for cell in row[2:6]]
    for row in (line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines())
    if len(row) == 7
}
NO_CASSETTE = "is sent while there is no cassette"
NO_MATCH = "matches no recording"
PLAYED = "matches a recording that was already replayed"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", ["matches a recording", NO_MATCH, PLAYED, NO_CASSETTE])
def test_the_table_of_modes_in_the_docs_holds(recorded, row, mode):
    expected = OUTCOMES[ROWS[row][MODES.index(mode)]]
    if row != NO_CASSETTE:
        recorded.put((request("[1]"), "answer"))
    tape = Tape(recorded.path, mode=mode)
    if row == PLAYED:
        tape.route(request("[1]"))
    sent = request("[2]" if row == NO_MATCH else "[1]")
    if expected is CassetteMiss:
        with pytest.raises(CassetteMiss):
            tape.route(sent)
    else:
        assert isinstance(tape.route(sent), expected)
