"""Models: how a value is made of the text of a document, and JSON of a value.

pydantic is imported only when a model of it is given.
"""

from __future__ import annotations

import dataclasses
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)
from typing import is_typeddict as _is_typeddict

import msgspec

from aiocouch._wire.codec import DECODE_ERRORS, encode
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.misfit import MisfitError, place_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiocouch.typing import JsonDict

__all__ = ["Shape", "shape_of"]

T = TypeVar("T")
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Kind(Protocol):
    """A library of models."""

    decode: Callable[[bytes], Any]
    """Makes a value of a text. Raises `errors`."""
    errors: tuple[type[Exception], ...]

    def dump(self, value: Any) -> Any:
        """Return the value as what JSON has. Raise what it likes."""
        ...

    def told(self, error: Exception) -> tuple[str, str]:
        """Return what an error says, and the place in the text."""
        ...


class _ByMsgspec:
    errors: tuple[type[Exception], ...] = DECODE_ERRORS

    def __init__(self, model: Any) -> None:
        try:
            self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(model).decode
        except TypeError as error:
            raise InvalidTypeError(f"the model {model!r} cannot be decoded: {error}") from error

    def dump(self, value: Any) -> Any:
        return msgspec.to_builtins(value, str_keys=True)

    def told(self, error: Exception) -> tuple[str, str]:
        return place_in(error)


class _ByPydantic:
    def __init__(self, model: Any) -> None:
        from pydantic import TypeAdapter, ValidationError

        self._adapter: TypeAdapter[Any] = TypeAdapter(model)
        self.decode: Callable[[bytes], Any] = self._adapter.validator.validate_json
        self.errors: tuple[type[Exception], ...] = (ValidationError, *DECODE_ERRORS)
        self._error = ValidationError

    def dump(self, value: Any) -> Any:
        dump = getattr(value, "model_dump", None)
        if dump is not None:
            return dump(mode="json", by_alias=True, warnings="error")
        return self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error")

    def told(self, error: Exception) -> tuple[str, str]:
        if not isinstance(error, self._error):
            return str(error), "$"
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return first["msg"], _path(first["loc"])


class Shape(Generic[T]):
    """A model, and the types that its documents have in the member `type_field`; none: any."""

    def __init__(self, model: Any, type: str | None, type_field: str) -> None:
        self._classes = _classes(model)
        of_pydantic = any(hasattr(one, "__pydantic_validator__") for one in self._classes)
        self._kind: _Kind = _ByPydantic(model) if of_pydantic else _ByMsgspec(model)
        self.decode: Callable[[bytes], T] = self._kind.decode
        """Makes a value of the text of a document. Raises `errors`; `misfit` makes an error of them."""
        self.errors = self._kind.errors
        is_bare = any(map(_forbids, self._classes))
        if is_bare:
            self.decode = self._decode_bare
        self.msgspec_model = None if of_pydantic or is_bare else model
        """The model, where msgspec makes a value of the text as it is."""
        own_field, own_types = _tags(self._classes)
        self.type = type
        self.type_field = type_field if type is not None else own_field or type_field
        self.types = [type] if type is not None else own_types or _literals(model, type_field)
        self._own_field = own_field
        self._type_of = _type_decoder(self.type_field)

    def misfit(self, id: str, error: Exception) -> MisfitError:
        """Return what is raised for a document that could not be decoded."""
        return _misfit(id, *self._kind.told(error))

    def check_type(self, id: str, text: bytes) -> None:
        """Raise `MisfitError` for a document of another type."""
        if self.types and not self.selects(text):
            wanted = " or ".join(map(repr, self.types))
            raise _misfit(id, f"it is not of the type {wanted}", f"$.{self.type_field}")

    def selects(self, text: bytes) -> bool:
        """Return whether the document has one of the types."""
        if not self.types:
            return True
        try:
            return self._type_of.decode(text).type in self.types
        except DECODE_ERRORS:
            return False

    def dump(self, value: T) -> JsonDict:
        """Return the members of a document without revision; `_id` is there if the model has it.

        Raise `InvalidTypeError` for what is not of the model, `InvalidInputError` for what would not
        fit it when it is read again.
        """
        if not isinstance(value, self._classes):
            raise InvalidTypeError(f"the value must be {self._names}, not {_name(type(value))}")
        try:
            dumped = self._kind.dump(value)
        except Exception as error:  # whatever a model raises, its value is wrong
            raise InvalidInputError(f"the {_name(type(value))} is not JSON: {error}") from error
        if not isinstance(dumped, dict):
            raise InvalidTypeError(f"the {_name(type(value))} does not become a JSON object")
        members = self._typed(dumped)
        self._check(members)
        members.pop("_rev", None)
        return members

    def _check(self, members: JsonDict) -> None:
        text = encode(members)
        try:
            self.decode(text)
        except self.errors as error:
            what, place = self._kind.told(error)
            raise InvalidInputError(
                f"the value does not fit {self._names}: {what} at {place}"
            ) from error

    def _typed(self, members: JsonDict) -> JsonDict:
        if self.type is None:
            return members
        given = members.get(self.type_field, self.type)
        if given != self.type:
            raise InvalidInputError(f"its {self.type_field!r} is {given!r}, not {self.type!r}")
        return {self.type_field: self.type, **members}

    def _decode_bare(self, text: bytes) -> T:
        """Return the value, without what a model that forbids other members does not have."""
        members = _RAW_MEMBERS.decode(text)
        if self.type is not None and not self._has_type:
            members.pop(self.type_field, None)
        own = {name: raw for name, raw in members.items() if not name.startswith("_")}
        found: T = self._kind.decode(msgspec.json.encode(own))
        return found

    @property
    def _has_type(self) -> bool:
        """Whether the type is a member of the model."""
        return self._own_field == self.type_field or any(
            self.type_field in getattr(one, names, ())
            for one in self._classes
            for names in ("__struct_encode_fields__", "model_fields", "__dataclass_fields__")
        )

    @property
    def _names(self) -> str:
        return " or ".join(map(_name, self._classes))


def shape_of(model: Any, type: str | None, type_field: str) -> Shape[Any]:
    """Return the shape of a model. Raise `InvalidTypeError` for what is none."""
    for name, given in (("type", type), ("type_field", type_field)):
        if not isinstance(given, str) and not (name == "type" and given is None):
            raise InvalidTypeError(f"{name} must be a str, not {_name(given.__class__)}")
    if type_field.startswith("_") or not type_field:
        raise InvalidInputError(f"type_field={type_field!r}: such members belong to CouchDB")
    return Shape(model, type, type_field)


def _classes(model: Any) -> tuple[type, ...]:
    """Return the classes of the values."""
    if isinstance(model, UnionType) or get_origin(model) is Union:
        return tuple(one for part in get_args(model) for one in _classes(part))
    own = get_origin(model) or model
    if _is_typeddict(own):
        return (dict,)
    if not isinstance(own, type) or not _is_model(own):
        raise InvalidTypeError(
            "a model is a msgspec Struct, a dataclass, a pydantic model or a TypedDict, "
            f"not {model!r}"
        )
    return (own,)


def _is_model(one: type) -> bool:
    is_struct = issubclass(one, msgspec.Struct) and one is not msgspec.Struct
    return is_struct or dataclasses.is_dataclass(one) or hasattr(one, "__pydantic_validator__")


def _forbids(one: type) -> bool:
    if hasattr(one, "__pydantic_validator__"):  # what is allowed beside is kept by us, too
        config = getattr(one, "model_config", None) or getattr(one, "__pydantic_config__", {})
        return bool(config.get("extra", "ignore") != "ignore")
    return issubclass(one, msgspec.Struct) and one.__struct_config__.forbid_unknown_fields


def _tags(classes: Iterable[type]) -> tuple[str | None, list[Any]]:
    """Return the member and the tags of msgspec's tagged Structs."""
    configs = [one.__struct_config__ for one in classes if issubclass(one, msgspec.Struct)]
    tagged = [config for config in configs if config.tag is not None]
    if not tagged:
        return None, []
    return tagged[0].tag_field, [config.tag for config in tagged]


def _literals(model: Any, field: str) -> list[Any]:
    """Return the texts that the field can be, where the models say so: `kind: Literal["book"]`."""
    is_union = isinstance(model, UnionType) or get_origin(model) is Union
    found: list[Any] = []
    for one in get_args(model) if is_union else (model,):
        try:
            hint = get_type_hints(get_origin(one) or one).get(field)
        except (NameError, TypeError):  # of a name that is known to type checkers only
            return []
        texts = get_args(hint) if get_origin(hint) is Literal else ()
        if not texts or not all(isinstance(text, str) for text in texts):
            return []
        found += texts
    return found


def _type_decoder(field: str) -> msgspec.json.Decoder[Any]:
    kind = msgspec.defstruct("_Typed", [("type", Any, None)], rename={"type": field})
    return msgspec.json.Decoder(kind)


def _misfit(id: str, what: str, place: str) -> MisfitError:
    return MisfitError(
        f"the document {id!r} does not fit: {what} at {place}", document_id=id, place=place
    )


def _path(location: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in location)


def _name(kind: type) -> str:
    return kind.__name__
