"""The pytest plugin of Multitrack: hooks, options and fixtures that translate and decide nothing."""
