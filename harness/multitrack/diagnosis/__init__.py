"""Find out why a test fails (the request, the reply, the models or the test changed), and find invalid recordings."""
