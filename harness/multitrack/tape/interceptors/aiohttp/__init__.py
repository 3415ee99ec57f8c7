"""The interceptor for the connectors of aiohttp."""
