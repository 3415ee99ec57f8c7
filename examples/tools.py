"""The tools of the examples: two Pydantic models that a language model can call."""

from typing import Literal

from pydantic import BaseModel


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    """A search of the web."""

    query: str
