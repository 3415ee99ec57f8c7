"""Find out what changed when a test fails: the request, the reply, the Pydantic models or the test.

Also find recordings that the current models reject.
"""
