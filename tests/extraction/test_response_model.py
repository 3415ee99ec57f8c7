"""The supported forms of ``response_model``, and the messages for all other forms."""

import dataclasses
import sys
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Generic, Optional, TypeVar, Union

import pytest
from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType, TypedDict

from multitrack import Toolset

T = TypeVar("T")


class Weather(BaseModel):
    location: str


class GoogleSearch(BaseModel):
    query: str


class Box(BaseModel, Generic[T]):
    value: T


class Numbers(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Point:
    x: float


class Place(TypedDict):
    city: str


Both = TypeAliasType("Both", Weather | GoogleSearch)
ListOfBoth = TypeAliasType("ListOfBoth", list[Both])
Either: typing.TypeAlias = Weather | GoogleSearch
Item = TypeVar("Item")
WeatherOr = TypeAliasType("WeatherOr", Union[Weather, Item], type_params=(Item,))  # noqa: UP007
Many = TypeAliasType("Many", Iterable[Item], type_params=(Item,))


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (Iterable[Weather], ("Weather",)),
        (Iterable[GoogleSearch | Weather], ("GoogleSearch", "Weather")),
        (Iterable[Union[Weather, GoogleSearch]], ("Weather", "GoogleSearch")),  # noqa: UP007
        (typing.Iterable[Weather], ("Weather",)),
        (Iterable[Union[GoogleSearch, Union[Weather, Box[int]]]], ("GoogleSearch", "Weather", "Box_int")),  # noqa: UP007
        (typing.Sequence[Weather], ("Weather",)),
        (typing.List[Weather], ("Weather",)),  # noqa: UP006
        (typing.Tuple[Weather | GoogleSearch, ...], ("Weather", "GoogleSearch")),  # noqa: UP006
        (Iterable[Annotated[Weather | GoogleSearch, "both"]], ("Weather", "GoogleSearch")),
        (
            Iterable[Annotated[Weather | Annotated[GoogleSearch | Box[int], "b"], []]],
            ("Weather", "GoogleSearch", "Box_int"),
        ),
        (Iterable[Weather | GoogleSearch | Weather], ("Weather", "GoogleSearch")),
        (Iterable[Either], ("Weather", "GoogleSearch")),
        (Iterable[WeatherOr[GoogleSearch] | Box[str]], ("Weather", "GoogleSearch", "Box_str")),
        (Iterable[Box], ("Box",)),
        (Iterable[Annotated[Weather, "one"] | GoogleSearch], ("Weather", "GoogleSearch")),
        (Annotated[Iterable[Weather], "all"], ("Weather",)),
        (list[Weather | GoogleSearch], ("Weather", "GoogleSearch")),
        (Sequence[Weather], ("Weather",)),
        (tuple[Weather | GoogleSearch, ...], ("Weather", "GoogleSearch")),
        (Iterable[Both], ("Weather", "GoogleSearch")),
        (Iterable[Both | Weather], ("Weather", "GoogleSearch")),
        (ListOfBoth, ("Weather", "GoogleSearch")),
        (Many[Weather], ("Weather",)),
        (Iterable[Box[int] | Box[str]], ("Box_int", "Box_str")),
    ],
    ids=str,
)
def test_supported_forms_name_the_models_in_order(form, names):
    assert Toolset(form).names == names


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement requires Python 3.12")
def test_a_type_alias_that_refers_to_itself_is_rejected():
    namespace = {"Weather": Weather}
    exec("type Endless = Weather | Endless", namespace)
    endless = namespace["Endless"]
    with pytest.raises(TypeError) as raised:
        Toolset(Iterable[endless])
    assert str(raised.value).startswith(
        "response_model is Iterable[Endless], but one of its type aliases refers to itself; "
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement requires Python 3.12")
def test_aliases_made_with_the_type_statement_are_resolved():
    namespace = {"Weather": Weather, "GoogleSearch": GoogleSearch, "Iterable": Iterable}
    exec("type Both = Weather | GoogleSearch\ntype Tools[T] = Iterable[T | Both]", namespace)
    assert Toolset(namespace["Tools"][Weather]).names == ("Weather", "GoogleSearch")


EXAMPLE = "write response_model=Iterable[Weather | GoogleSearch], where Weather and GoogleSearch are Pydantic models"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Weather, "Weather, but it is not a collection of models; write response_model=Iterable[Weather]"),
        (
            Weather | GoogleSearch,
            "Weather | GoogleSearch, but it is not a collection of models; "
            "write response_model=Iterable[Weather | GoogleSearch]",
        ),
        (Iterable, f"Iterable, but it contains no model; {EXAMPLE}"),
        (typing.Iterable, f"Iterable, but it contains no model; {EXAMPLE}"),
        (list, f"list, but it contains no model; {EXAMPLE}"),
        (Iterable[int], f"Iterable[int], but int is not a Pydantic model; {EXAMPLE}"),
        (Iterable[T], f"Iterable[T], but T is not a Pydantic model; {EXAMPLE}"),
        (Iterable["Weather"], f"Iterable['Weather'], but 'Weather' is not a Pydantic model; {EXAMPLE}"),
        (Iterable[BaseModel], f"Iterable[BaseModel], but BaseModel has no fields; {EXAMPLE}"),
        (Iterable[Numbers], f"Iterable[Numbers], but Numbers is not a model with fields; {EXAMPLE}"),
        (dict[str, Weather], f"dict[str, Weather], but it is not an Iterable of models; {EXAMPLE}"),
        (tuple[Weather, Weather], f"tuple[Weather, Weather], but it is not an Iterable of models; {EXAMPLE}"),
        (tuple[Weather], f"tuple[Weather], but it is not an Iterable of models; {EXAMPLE}"),
        (set[Weather], f"set[Weather], but it is not an Iterable of models; {EXAMPLE}"),
        (Iterator[Weather], f"Iterator[Weather], but it is not an Iterable of models; {EXAMPLE}"),
        (Optional[Iterable[Weather]], f"Iterable[Weather] | None, but it is not an Iterable of models; {EXAMPLE}"),  # noqa: UP045
        (
            Iterable[Weather] | Iterable[GoogleSearch],
            f"Iterable[Weather] | Iterable[GoogleSearch], but it is not an Iterable of models; {EXAMPLE}",
        ),
        (Iterable[list[Weather]], f"Iterable[list[Weather]], but list[Weather] is not a Pydantic model; {EXAMPLE}"),
        (Iterable[type[Weather]], f"Iterable[type[Weather]], but type[Weather] is not a Pydantic model; {EXAMPLE}"),
        (Iterable[Point], f"Iterable[Point], but Point is not a Pydantic model; {EXAMPLE}"),
        (Iterable[Place], f"Iterable[Place], but Place is not a Pydantic model; {EXAMPLE}"),
        (Iterable[typing.Any], f"Iterable[Any], but Any is not a Pydantic model; {EXAMPLE}"),
        (
            Iterable[Weather | int],
            "Iterable[Weather | int], but int is not a Pydantic model; write response_model=Iterable[Weather]",
        ),
        (
            Iterable[Optional[Weather]],  # noqa: UP045
            "Iterable[Weather | None], but None is not a Pydantic model; write response_model=Iterable[Weather]",
        ),
        (
            Iterable[Annotated[Weather | int, "x"]],
            "Iterable[Annotated[Weather | int, ...]], but int is not a Pydantic model; "
            "write response_model=Iterable[Weather]",
        ),
        ("Iterable[Weather]", f"'Iterable[Weather]', but it is not an Iterable of models; {EXAMPLE}"),
        (None, f"None, but it is not an Iterable of models; {EXAMPLE}"),
    ],
    ids=str,
)
def test_other_forms_are_rejected(form, message):
    with pytest.raises(TypeError) as raised:
        Toolset(form)
    assert str(raised.value) == f"response_model is {message}"
