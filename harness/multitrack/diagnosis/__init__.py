"""Find out what changed when a test fails: the request, the reply, the models or the test.

Also find invalid recordings.
"""
