"""Parse a ``response_model``, such as ``Iterable[A | B]``, into its Pydantic models."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel

_COLLECTIONS = (Iterable, Sequence, list, tuple)
_UNIONS = (Union, types.UnionType)
_PLAIN = frozenset([*_COLLECTIONS, *_UNIONS])


def parse_response_model(response_model: object) -> tuple[type[BaseModel], ...]:
    """Return the models in ``response_model``, in order and without duplicates.

    Args:
        response_model: ``Iterable``, ``Sequence``, ``list`` or ``tuple[..., ...]`` of a model or of a union of
            models. ``Annotated`` and type aliases are resolved.

    Raises:
        TypeError: If ``response_model`` has none of these forms, or a member is not a usable model.
    """
    form = _unwrap(response_model)
    arguments = get_args(form)
    if get_origin(form) is tuple:
        # tuple[A] is a tuple of exactly one item
        arguments = arguments[:1] if arguments[1:] == (...,) else ()
    if get_origin(form) not in _COLLECTIONS or len(arguments) != 1:
        raise _unsupported_form_error(response_model, form)
    try:
        members = tuple(dict.fromkeys(_union_members(arguments[0])))
    except RecursionError:
        raise _response_model_error(response_model, "one of its type aliases refers to itself", ()) from None
    for member in members:
        if not is_model(member):
            raise _response_model_error(response_model, f"{_format_type(member)} {_describe_problem(member)}", members)
    return members


def list_members(response_model: Any) -> tuple[Any, ...]:
    """Return the members of ``response_model`` if it has the usual form, ``Iterable[A | B]``; otherwise an empty tuple.

    The members can be of any type. This function is for ``create``, which needs the members for every call:
    ``parse_response_model`` takes five times as long.
    """
    arguments: tuple[Any, ...] = getattr(response_model, "__args__", ())
    if len(arguments) != 1 or getattr(response_model, "__origin__", None) not in (Iterable, list):
        return ()
    argument = arguments[0]
    if type(argument) is types.UnionType or getattr(argument, "__origin__", None) is Union:
        members: tuple[Any, ...] = argument.__args__
        return members
    return arguments


def _unwrap(form: Any) -> Any:
    while not isinstance(form, type):
        origin = get_origin(form)
        # checked first, because these origins have no __value__, and looking up a missing attribute is slow
        if origin in _PLAIN:
            break
        if origin is Annotated:
            form = get_args(form)[0]
        # not isinstance, because typing and typing_extensions each have their own class for aliases
        elif hasattr(form, "__value__") and origin is None:
            form = form.__value__
        elif hasattr(origin, "__value__"):
            form = origin.__value__[get_args(form)]
        else:
            break
    return form


def _union_members(form: Any) -> Iterator[Any]:
    form = _unwrap(form)
    if not isinstance(form, type) and get_origin(form) in _UNIONS:
        for member in get_args(form):
            yield from _union_members(member)
    else:
        yield form


def _is_pydantic_class(member: object) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)


def is_model(member: Any) -> bool:
    return isinstance(member, type) and _is_model_with_fields(member)


# cached, because issubclass is slow for a class with an ABC metaclass
@lru_cache(maxsize=512)
def _is_model_with_fields(member: type) -> bool:
    return issubclass(member, BaseModel) and member is not BaseModel and not issubclass(member, RootModel)


def _describe_problem(member: Any) -> str:
    if member is BaseModel:
        return "has no fields"
    return "is not a model with fields" if _is_pydantic_class(member) else "is not a Pydantic model"


def _unsupported_form_error(given: object, form: object) -> TypeError:
    members = tuple(_union_members(form))
    if all(is_model(member) for member in members):
        return _response_model_error(given, "it is not a collection of models", members)
    if (get_origin(form) or form) in _COLLECTIONS and not get_args(form):
        return _response_model_error(given, "it contains no model", ())
    return _response_model_error(given, "it is not an Iterable of models", ())


def _response_model_error(given: object, reason: str, members: Sequence[Any]) -> TypeError:
    models = [_format_type(member) for member in members if is_model(member)]
    union = " | ".join(models) if models else "Weather | GoogleSearch"
    hint = "" if models else ", where Weather and GoogleSearch are Pydantic models"
    return TypeError(
        f"response_model is {_format_type(given)}, but {reason}; write response_model=Iterable[{union}]{hint}"
    )


def _format_type(form: Any) -> str:
    """Format ``form`` like source code, but without the names of modules."""
    if form is ...:
        return "..."
    if form is types.NoneType:
        return "None"
    origin, arguments = get_origin(form), get_args(form)
    if origin in _UNIONS:
        return " | ".join(map(_format_type, arguments))
    if origin is Annotated:
        return f"Annotated[{_format_type(arguments[0])}, ...]"
    name = getattr(origin or form, "__name__", None) or repr(form)
    return f"{name}[{', '.join(map(_format_type, arguments))}]" if arguments else name
