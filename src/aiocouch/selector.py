"""Selectors of Mango that type checkers understand, beside plain dicts.

    from aiocouch import F

    grown = (F.age >= 18) & F.tags.any(F.name == "vip")
    print(grown)  # {'age': {'$gte': 18}, 'tags': {'$elemMatch': {'name': {'$eq': 'vip'}}}}
    async for doc in db.find(grown): ...

A `Selector` is a mapping: whatever takes a dict takes it, and `dict(selector)` is the dict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NoReturn, TypeAlias, final

from aiocouch.exception import InvalidInputError, InvalidTypeError

__all__ = ["F", "Field", "It", "Selector", "all_of", "any_of", "none_of"]

Value: TypeAlias = str | int | float | bool | list[Any] | tuple[Any, ...] | dict[str, Any] | None
"""What can be compared: whatever JSON can hold."""

Kind: TypeAlias = Literal["null", "boolean", "number", "string", "array", "object"]
"""The types that CouchDB knows."""


@final
class Selector(Mapping[str, Any]):
    """A condition on documents, made of `F`. `&`, `|` and `~` combine conditions.

    It never changes. Two are equal when their dicts are.
    """

    __slots__ = ("_dict",)

    def __init__(self, selector: Mapping[str, Any]) -> None:
        self._dict = dict(selector)

    def __and__(self, other: Selector) -> Selector:
        if not isinstance(other, Selector):
            return NotImplemented
        return Selector(_both(self._dict, other._dict))

    def __or__(self, other: Selector) -> Selector:
        if not isinstance(other, Selector):
            return NotImplemented
        return Selector({"$or": [*_parts("$or", self._dict), *_parts("$or", other._dict)]})

    def __invert__(self) -> Selector:
        return Selector({"$not": self._dict})

    def __bool__(self) -> NoReturn:
        """Raise: `and`, `or`, `not` and `a < F.x < b` would lose a condition without a word."""
        raise InvalidTypeError("conditions are combined with & and | and ~, each in parentheses")

    def __getitem__(self, name: str) -> Any:
        return self._dict[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __eq__(self, other: object) -> bool:
        return self._dict == (other._dict if isinstance(other, Selector) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self._dict!r}"


@final
class Field:
    """A field of a document, by attribute or, where the name is not a Python name, by `F["name"]`.

    `F.address.city` is the field `city` of the object in `address`. Comparisons make a `Selector`. A
    field that is called as a method is, such as `any`, needs the brackets.
    """

    __slots__ = ("_names",)

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(name)
        return Field(*self._names, name)

    def __getitem__(self, name: str) -> Field:
        """Return the field of that name, whatever characters are in it."""
        if not isinstance(name, str):
            raise InvalidTypeError(f"the name of a field must be a str, not {type(name).__name__}")
        if not name:
            raise InvalidInputError("the name of a field must not be empty")
        if "\\" in name:
            raise InvalidInputError(f"CouchDB cannot look for a field with a backslash: {name!r}")
        return Field(*self._names, name)

    def __repr__(self) -> str:
        return f"F[{self._path()!r}]" if self._names else "F"

    def __bool__(self) -> NoReturn:
        """Raise, as `Selector` does: a field by itself is not a condition."""
        raise InvalidTypeError(f"{self!r} is not a condition by itself, such as F.name.exists() is")

    __hash__ = None  # type: ignore[assignment]

    # -- comparisons, in the order of CouchDB: null, booleans, numbers, text, arrays, objects

    def __eq__(self, value: Value) -> Selector:  # type: ignore[override]
        return self._is("$eq", value)

    def __ne__(self, value: Value) -> Selector:  # type: ignore[override]
        return self._is("$ne", value)

    def __lt__(self, value: Value) -> Selector:
        return self._is("$lt", value)

    def __le__(self, value: Value) -> Selector:
        return self._is("$lte", value)

    def __gt__(self, value: Value) -> Selector:
        return self._is("$gt", value)

    def __ge__(self, value: Value) -> Selector:
        return self._is("$gte", value)

    # -- the other operators

    def exists(self, there: bool = True) -> Selector:
        """Return the condition that a document has the field, be it null, or has it not (`$exists`)."""
        return self._is("$exists", there)

    def is_type(self, kind: Kind) -> Selector:
        """Return the condition that the value is of a type (`$type`)."""
        return self._is("$type", kind)

    def is_in(self, values: Iterable[Value]) -> Selector:
        """Return the condition that the value, or an element of an array, is among these (`$in`)."""
        return self._is("$in", _listed(values))

    def not_in(self, values: Iterable[Value]) -> Selector:
        """Return the condition that the value is there and not among these (`$nin`)."""
        return self._is("$nin", _listed(values))

    def has_all(self, values: Iterable[Value]) -> Selector:
        """Return the condition that an array has all of these elements (`$all`)."""
        return self._is("$all", _listed(values))

    def has_size(self, size: int) -> Selector:
        """Return the condition that an array has that many elements (`$size`)."""
        return self._is("$size", size)

    def mod(self, divisor: int, remainder: int) -> Selector:
        """Return the condition that a whole number leaves a remainder (`$mod`)."""
        if divisor == 0:
            raise InvalidInputError("the divisor must not be 0")
        return self._is("$mod", [divisor, remainder])

    def matches(self, pattern: str) -> Selector:
        """Return the condition that a regular expression finds something (`$regex`, in PCRE)."""
        return self._is("$regex", pattern)

    def begins_with(self, prefix: str) -> Selector:
        """Return the condition that a text begins with another (`$beginsWith`, CouchDB 3.4)."""
        return self._is("$beginsWith", prefix)

    def any(self, condition: Selector) -> Selector:
        """Return the condition that an element of an array meets a condition (`$elemMatch`).

        `F.tags.any(F.name == "x")` looks into elements that are objects, `F.tags.any(It == "x")` at
        the elements themselves.
        """
        return self._is("$elemMatch", dict(condition))

    def every(self, condition: Selector) -> Selector:
        """Return the condition that all elements of an array meet a condition (`$allMatch`)."""
        return self._is("$allMatch", dict(condition))

    def any_key(self, condition: Selector) -> Selector:
        """Return the condition that a key of an object meets a condition on `It` (`$keyMapMatch`)."""
        return self._is("$keyMapMatch", dict(condition))

    def _is(self, operator: str, value: object) -> Selector:
        _check(value)
        condition = {operator: list(value) if isinstance(value, tuple) else value}
        return Selector({self._path(): condition} if self._names else condition)

    def _path(self) -> str:
        path = ".".join(name.replace(".", "\\.") for name in self._names)
        return f"\\{path}" if path.startswith("$") else path  # CouchDB drops every backslash


F = Field()
"""Where fields begin: `F.name`, `F["first name"]`, `F.address.city`."""

It = Field()
"""The element itself, in `any` and `every`, and the key in `any_key`."""


def all_of(*conditions: Selector) -> Selector:
    """Return the condition that all of them are met (`$and`); without any, all documents are."""
    together: dict[str, Any] = {}
    for condition in conditions:
        together = _both(together, dict(condition))
    return Selector(together)


def any_of(*conditions: Selector) -> Selector:
    """Return the condition that one of them is met (`$or`)."""
    return Selector({"$or": [dict(condition) for condition in conditions]})


def none_of(*conditions: Selector) -> Selector:
    """Return the condition that none of them is met (`$nor`)."""
    return Selector({"$nor": [dict(condition) for condition in conditions]})


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return both conditions in one object where that says the same, for it is easier to read."""
    common = one.keys() & other.keys()
    if all(_are_apart(name, one[name], other[name]) for name in common):
        return {**one, **other, **{name: {**one[name], **other[name]} for name in common}}
    return {"$and": [*_parts("$and", one), *_parts("$and", other)]}


def _are_apart(name: str, one: object, other: object) -> bool:
    """Return whether two conditions are on one field and have different operators."""
    if name.startswith("$") or not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(name.startswith("$") for name in (*one, *other)) and not one.keys() & other.keys()


def _parts(operator: str, condition: dict[str, Any]) -> list[Any]:
    inner = condition.get(operator) if len(condition) == 1 else None
    return inner if isinstance(inner, list) else [condition]


def _listed(values: Iterable[Value]) -> list[Value]:
    if isinstance(values, str):
        raise InvalidTypeError("the values must be a list, not one str")
    return [*values]


def _check(value: object) -> None:
    if isinstance(value, Field | Selector):
        raise InvalidTypeError(f"a field is compared with a value, not with {value!r}")
