"""The interceptor for aiohttp's connectors."""
