"""Compare the requests that tests send today with the recorded ones, and group the differences by their cause.

The functions here are pure: they turn pairs of a recorded and a live request into findings. The plugin observes the
requests, and ``reporting`` writes the report.
"""
