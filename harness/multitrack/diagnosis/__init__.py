"""Why a test fails (the request, the reply, the models or the test changed), and which recordings became invalid."""
