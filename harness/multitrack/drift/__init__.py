"""How live answers differ from those on a tape, as calls, and how often they do."""
