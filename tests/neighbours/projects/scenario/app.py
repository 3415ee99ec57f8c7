"""An application that asks a model for the weather."""

import os

import httpx

PLACE = os.environ.get("PLACE", "Toronto")


def url() -> str:
    return os.environ.get("PROVIDER_URL", "https://api.openai.com") + "/v1/chat/completions"


def request_for(place: str = PLACE) -> dict[str, object]:
    return {
        "url": url(),
        "headers": {"authorization": "Bearer sk-proj-0123456789abcdefghij"},
        "json": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"Weather in {place}?"}]},
    }


def ask(place: str = PLACE) -> str:
    response = httpx.post(**request_for(place))
    response.raise_for_status()
    return response.text


async def ask_async(place: str = PLACE) -> str:
    async with httpx.AsyncClient() as client:
        response = await client.post(**request_for(place))
        response.raise_for_status()
        return response.text
