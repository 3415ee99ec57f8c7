"""Plugins and the report header of the whole test suite."""

from importlib import metadata

pytest_plugins = ["pytester", "local_provider"]

SDKS = ("openai", "google-cloud-aiplatform", "google-genai", "grpcio", "httpx", "aiohttp", "pydantic")


def pytest_report_header():
    versions = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return "installed: " + ", ".join(f"{name} {versions.get(name, 'none')}" for name in SDKS)
