"""The pytest plugin of Multitrack: hooks, command-line options and fixtures."""
