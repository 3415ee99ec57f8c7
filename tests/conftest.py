from importlib import metadata

pytest_plugins = ["pytester", "local_provider"]

SDKS = ("openai", "google-cloud-aiplatform", "google-genai", "grpcio", "httpx", "aiohttp", "pydantic")


def pytest_report_header():
    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return "beside " + ", ".join(f"{name} {installed.get(name, 'none')}" for name in SDKS)
