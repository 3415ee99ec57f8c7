"""``--calls-audit``: observe which recordings answer a run's requests, and report the differences between them."""
