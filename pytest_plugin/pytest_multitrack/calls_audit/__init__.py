"""``--calls-audit``: observe which recordings answer the requests of a run, and report where the two differ."""
