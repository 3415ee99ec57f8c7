"""Compare the requests that tests send today with the recorded ones, and report the differences by their cause.

The modules are pure: pairs of recorded and live requests in, findings out. The plugin observes the requests, and
``reporting`` writes the report.
"""
