"""Fuzzing: feed damaged and hostile input to everything that reads untrusted bytes (``make fuzz``)."""
