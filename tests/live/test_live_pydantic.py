"""Documents of pydantic models, on a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest

from aiocouch import Database, InvalidInputError
from aiocouch.models import Collection, MisfitError

if TYPE_CHECKING:
    from typing import Any

pydantic = pytest.importorskip("pydantic")

from pydantic import BaseModel, ConfigDict, Field  # noqa: E402
from pydantic.dataclasses import dataclass as pydantic_dataclass  # noqa: E402

HUGE = 12345678901234567890123


class Author(BaseModel):
    name: str


class Book(BaseModel):
    title: str
    pages: int = Field(0, ge=0, alias="pageCount")
    authors: list[Author] = []
    read: datetime | None = None


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    title: str


@pydantic_dataclass
class Checked:
    title: str = Field(min_length=2)


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog", "puppy"]
    name: str


async def test_a_literal_is_a_type(db: Database) -> None:
    await db.bulk_docs([{"_id": "a", "kind": "ant"}, {"_id": "b", "lives": 9}])
    pets: Collection[Any] = db.collection(Cat | Dog, type_field="kind")
    await pets.create(Cat(lives=9), id="c")
    await pets.create(Dog(kind="puppy", name="Rex"), id="d")
    assert sorted([(pet.id, pet.value.kind) async for pet in pets.all()]) == [
        ("c", "cat"),
        ("d", "puppy"),
    ]
    with pytest.raises(MisfitError, match="not of the type"):
        await pets.get("a")
    assert [cat.id async for cat in db.collection(Cat, type_field="kind").all()] == ["c"]


async def test_a_value_is_created_and_changed(db: Database) -> None:
    books = db.collection(Book, type="book")
    at = datetime(2026, 1, 2, tzinfo=UTC)
    book = await books.create(Book(title="Emma", pageCount=HUGE, read=at), id="a")
    assert (await db["a"]).json == {
        "type": "book",
        "title": "Emma",
        "pageCount": HUGE,
        "authors": [],
        "read": "2026-01-02T00:00:00Z",
    }
    book.value.pages = 2
    await books.save(book)
    assert [one.value async for one in books.all()] == [book.value]


async def test_unknown_members_and_other_spellings_survive(db: Database) -> None:
    stored: dict[str, Any] = {
        "type": "book",
        "title": "Emma",
        "pageCount": "7",
        "read": "2026-01-02T00:00:00.000+00:00",
        "authors": [{"name": "Austen", "born": HUGE}],
        "null": None,
    }
    await db.write([{"_id": "a", **stored}])
    books = db.collection(Book, type="book")
    book = await books["a"]
    assert book.value.pages == 7
    await books.save(book)
    assert (await db["a"]).json == stored
    book.value.authors[0].name = "Jane Austen"
    await books.save(book)
    stored["authors"][0]["name"] = "Jane Austen"
    assert (await db["a"]).json == stored


async def test_a_misfit_is_named(db: Database) -> None:
    await db.write([{"_id": "a", "type": "book", "title": "Emma", "authors": [{"name": 5}]}])
    with pytest.raises(MisfitError, match=r"'a' .* at \$\.authors\[0\]\.name") as info:
        await db.collection(Book, type="book")["a"]
    assert (info.value.document_id, info.value.place) == ("a", "$.authors[0].name")


async def test_what_does_not_fit_is_not_sent(db: Database) -> None:
    books = db.collection(Book)
    book = await books.create(Book(title="Emma", pageCount=0), id="a")
    book.value.pages = -1
    with pytest.raises(InvalidInputError, match=r"at \$\.pageCount"):
        await books.save(book)
    book.value.pages = float("nan")  # type: ignore[assignment]
    with pytest.raises(InvalidInputError):
        await books.save(book)
    assert (await db["a"]).rev == book.rev


async def test_models_that_forbid_or_keep_other_members(db: Database) -> None:
    strict, loose = db.collection(Frozen, type="book"), db.collection(Open)
    book = await strict.create(Frozen(title="Emma"), id="a")
    book.value = Frozen(title="Persuasion")
    await strict.save(book)
    assert (await strict["a"]).value == Frozen(title="Persuasion")
    one = await loose["a"]
    assert one.value.model_extra == {"type": "book"}
    one.value.title = "Sanditon"
    await loose.save(one)
    assert (await db["a"]).json == {"type": "book", "title": "Sanditon"}


async def test_dataclasses_of_pydantic(db: Database) -> None:
    books = db.collection(Checked)
    await books.create(Checked("Emma"), id="a")
    assert (await books["a"]).value == Checked("Emma")
    await db.write([{"_id": "b", "title": "E"}])
    with pytest.raises(MisfitError, match=r"'b' .* at \$\.title"):
        await books["b"]
