"""Which layer moved when a test fails: the request, the reply, the models, or the test; and which tapes would break."""
