"""What may be asked for: `Iterable[A | B]` and its kin, read into the models in the order they are named."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel

_COLLECTIONS = (Iterable, Sequence, list, tuple)
_UNIONS = (Union, types.UnionType)
_PLAIN = frozenset([*_COLLECTIONS, *_UNIONS])


def models_of(response_model: object) -> tuple[type[BaseModel], ...]:
    """The models named by ``response_model``, each once, in order.

    ``Iterable``, ``Sequence``, ``list`` and ``tuple[..., ...]`` of a model or of a union of models;
    ``Annotated`` and named aliases are looked through. Raises TypeError for anything else.
    """
    form = _unwrapped(response_model)
    arguments = get_args(form)
    if get_origin(form) is tuple:
        # tuple[A] is a tuple of exactly one
        arguments = arguments[:1] if arguments[1:] == (...,) else ()
    if get_origin(form) not in _COLLECTIONS or len(arguments) != 1:
        raise _unfit(response_model, form)
    try:
        members = tuple(dict.fromkeys(_members(arguments[0])))
    except RecursionError:
        raise _wrong(response_model, "a name in it stands for itself", ()) from None
    for member in members:
        if not _is_model(member):
            raise _wrong(response_model, f"{_name(member)} {_objection(member)}", members)
    return members


def _unwrapped(form: Any) -> Any:
    while not isinstance(form, type):
        origin = get_origin(form)
        # these have no __value__, and are slow to say so
        if origin in _PLAIN:
            break
        if origin is Annotated:
            form = get_args(form)[0]
        # the aliases of typing and of typing_extensions are two classes
        elif hasattr(form, "__value__") and origin is None:
            form = form.__value__
        elif hasattr(origin, "__value__"):
            form = origin.__value__[get_args(form)]
        else:
            break
    return form


def _members(form: Any) -> Iterator[Any]:
    form = _unwrapped(form)
    if not isinstance(form, type) and get_origin(form) in _UNIONS:
        for member in get_args(form):
            yield from _members(member)
    else:
        yield form


def _is_model_class(member: object) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and _is_fit(member)


# a check of an abstract class is slow
@lru_cache(maxsize=512)
def _is_fit(member: type) -> bool:
    return issubclass(member, BaseModel) and member is not BaseModel and not issubclass(member, RootModel)


def _objection(member: Any) -> str:
    if member is BaseModel:
        return "has no fields"
    return "is no object with fields" if _is_model_class(member) else "is no Pydantic model"


def _unfit(given: object, form: object) -> TypeError:
    members = tuple(_members(form))
    if all(_is_model(member) for member in members):
        return _wrong(given, "it names no collection", members)
    if (get_origin(form) or form) in _COLLECTIONS and not get_args(form):
        return _wrong(given, "it names no model", ())
    return _wrong(given, "it is no Iterable of models", ())


def _wrong(given: object, reason: str, members: Sequence[Any]) -> TypeError:
    models = [_name(member) for member in members if _is_model(member)]
    right = " | ".join(models) if models else "Weather | GoogleSearch"
    example = "" if models else ", where Weather and GoogleSearch are Pydantic models"
    return TypeError(f"response_model is {_name(given)}, and {reason}; write response_model=Iterable[{right}]{example}")


def _name(form: Any) -> str:
    """``form`` as one would write it, without modules."""
    if form is ...:
        return "..."
    if form is types.NoneType:
        return "None"
    origin, arguments = get_origin(form), get_args(form)
    if origin in _UNIONS:
        return " | ".join(map(_name, arguments))
    if origin is Annotated:
        return f"Annotated[{_name(arguments[0])}, ...]"
    name = getattr(origin or form, "__name__", None) or repr(form)
    return f"{name}[{', '.join(map(_name, arguments))}]" if arguments else name
