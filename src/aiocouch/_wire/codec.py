"""JSON. Integers keep any size, and nothing that JSON cannot hold gets out.

msgspec writes more types than JSON has (bytes, sets, dates) and NaN as null. Each of them would come
back as something else, so each is refused before anything is sent. rjson, where it is installed, can
refuse them by itself; it only ever encodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from aiocouch._errors import InvalidInputError, InvalidTypeError
from aiocouch._wire.strict import strict_encoder

_PLAIN: dict[Any, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__index__,
    float: float.__float__,
    dict: dict,
    list: list,
    tuple: tuple,
}


def _plain(value: Any) -> Any:
    """Return a value of JSON's own type, for one of a subclass of it, which msgspec does not take."""
    for kind, made in _PLAIN.items():
        if isinstance(value, kind):
            return made(value)
    raise TypeError(f"{type(value).__name__} is not a JSON type")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_sorted_encoder = msgspec.json.Encoder(enc_hook=_plain, order="deterministic")
_decoder = msgspec.json.Decoder()

_encode = _encoder.encode
_encode_strictly = strict_encoder()
decode = _decoder.decode
"""The value of a JSON text (bytes or str). Raises `msgspec.DecodeError`, or `UnicodeDecodeError`."""

_REFUSALS = (TypeError, ValueError, RecursionError)
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `decode` may raise for text that is not JSON."""


def encode(value: Any) -> bytes:
    """Return the JSON text of a value, as UTF-8.

    Raise `InvalidTypeError` for a value that JSON has no type for, `InvalidInputError` for NaN,
    infinities, lone surrogates, two keys of one text and values that hold themselves. The message
    names the place.
    """
    if _encode_strictly is None:
        return encode_checked(value)
    try:
        return _encode_strictly(value)
    except _REFUSALS:
        text = encode_checked(value)  # takes more, and names the place of what it does not take
    try:
        return _encode_strictly(decode(text))  # so that equal contents have equal texts
    except _REFUSALS:
        return text


def encoder(serialize: Callable[[Any], Any] | None) -> Callable[[Any], bytes]:
    """Return what makes the JSON of a session: `encode`, or a function of the program (`json_serialize`).

    Such a function may write values that JSON has no type for, in its own way. What it returns is
    decoded, so that equal contents have equal texts and nothing but JSON is sent.
    """
    if serialize is None:
        return encode

    def encode_by_program(value: Any) -> bytes:
        text = serialize(value)
        try:
            return encode(decode(text))
        except (*DECODE_ERRORS, TypeError) as error:
            raise InvalidInputError(f"json_serialize did not give JSON: {_why(error)}") from None

    return encode_by_program


def encode_list(name: str, values: list[Any], beside: dict[str, Any]) -> bytes:
    """Return the JSON text of `beside` and of a long list, the member `name`. Raise as `encode` does."""
    if _encode_strictly is not None:
        try:
            return _encode_strictly({**beside, name: values})
        except _REFUSALS:
            pass
    # One by one, for the check reads again what was written, and that would be much at a time.
    texts = [encode_checked(value, f"[{name!r}][{at}]") for at, value in enumerate(values)]
    head = encode_checked(beside)[:-1] + (b"," if beside else b"") + encode_text(name) + b":["
    return b",".join(texts).join((head, b"]}"))


def encode_checked(value: Any, place: str = "") -> bytes:
    """Encode by msgspec alone, whose text is read again to see what was lost."""
    try:
        text = _encode(value)
        # Quicker than a look at each value: what JSON cannot hold would come back as something else.
        if decode(text) != value:
            _refuse(value, place)
    except TypeError as error:
        raise InvalidTypeError(f"not JSON: {_placed(error, value, place)}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"not JSON: {_why(_placed(error, value, place))}") from None
    return text


def encode_text(value: str) -> bytes:
    """Return the JSON text of a str without lone surrogates."""
    return _encoder.encode(value)


def encode_sorted(value: Any) -> bytes:
    """Return the JSON text of a value that `encode` has taken, with the members of objects in order."""
    return _sorted_encoder.encode(value)


def strings(values: Any, what: str) -> list[str]:
    """Return the values as a list. Raise `InvalidTypeError` for what is not a list of str, such as one."""
    if isinstance(values, str | bytes):
        raise InvalidTypeError(f"{what} must be a list of str, not one {type(values).__name__}")
    if not isinstance(values, Iterable):
        raise InvalidTypeError(f"{what} must be a list of str, not {type(values).__name__}")
    found = [*values]
    for one in found:
        if not isinstance(one, str):
            raise InvalidTypeError(f"{what} must be a list of str, not of {type(one).__name__}")
    return found


def listed(values: Any, what: str) -> list[Any]:
    """Return the values as a list; a str is the JSON of one, as older callers give it.

    Raise `InvalidTypeError`, with `what` in the message, for what is not a list.
    """
    if isinstance(values, str):
        try:
            values = decode(values)
        except DECODE_ERRORS:
            values = None
        if not isinstance(values, list):
            raise InvalidTypeError(f"{what} must be a list, not a str")
    if isinstance(values, bytes) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{what} must be a list, not {type(values).__name__}")
    return list(values)


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep, or holding itself"
    if isinstance(error, UnicodeEncodeError):
        return f"lone surrogate in {error.object!r}"
    return str(error)


def _placed(error: Exception, value: Any, place: str) -> Exception:
    """Return the error, with the place in the value where that can be told."""
    try:
        _refuse(value, place)
    except (TypeError, ValueError, RecursionError) as found:
        return found
    return error


def _refuse(value: Any, place: str) -> None:
    """Raise for what JSON cannot hold. Subclasses of its types pass, as tuples do."""
    if isinstance(value, dict):
        for key, child in value.items():
            _refuse_key(key, value, place)
            _refuse(child, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            _refuse(child, f"{place}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value}{_at(place)}")
    elif not isinstance(value, str | int | float | None):
        raise TypeError(f"{type(value).__name__}{_at(place)}")


def _refuse_key(key: Any, value: dict[Any, Any], place: str) -> None:
    if isinstance(key, str):
        return
    # json.dumps writes an int key as its digits; programs count by year that way.
    if not isinstance(key, int) or isinstance(key, bool):
        raise TypeError(f"the key {key!r}{_at(place)} is not a str")
    if (digits := str(int(key))) in value:
        raise ValueError(f"the keys {key!r} and {digits!r}{_at(place)} are the same in JSON")


def _at(place: str) -> str:
    return f" at {place}" if place else ""
