"""``--calls-audit``: observe which recordings answer a run's requests, and report where the two differ."""
