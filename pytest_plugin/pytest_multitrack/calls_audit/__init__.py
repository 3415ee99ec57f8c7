"""``--calls-audit``: compare each request of a run with the recording that answers it, and report the differences."""
