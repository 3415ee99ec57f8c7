"""The seam at aiohttp's connectors."""
