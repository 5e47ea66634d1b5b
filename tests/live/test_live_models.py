"""Documents of a model, on a server: what is written, what stays, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import pytest

from aiocouch import (
    ConflictError,
    Database,
    Edit,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
)
from aiocouch.models import MisfitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.models import Collection, Stored

HUGE = 12345678901234567890123


class Author(msgspec.Struct):
    name: str


class Book(msgspec.Struct):
    title: str
    pages: int = 0
    authors: list[Author] = []


class Frozen(msgspec.Struct, frozen=True):
    title: str
    pages: int = 0


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    title: str


class Film(msgspec.Struct, tag="film"):
    title: str


class Song(msgspec.Struct, tag="song"):
    title: str
    seconds: int = 0


@dataclass
class Plain:
    title: str
    pages: int = 0


class Typed(TypedDict):
    title: str
    pages: int


@pytest.fixture
def books(db: Database) -> Collection[Book]:
    return db.collection(Book, type="book")


async def fill(db: Database, *docs: dict[str, Any]) -> None:
    assert (await db.write(docs)).written == len(docs)


async def test_a_value_is_created_changed_and_deleted(
    db: Database, books: Collection[Book]
) -> None:
    book = await books.create(Book("Emma", 474), id="emma")
    assert (book.id, book.value.title) == ("emma", "Emma")
    assert (await db["emma"]).json == {"type": "book", "title": "Emma", "pages": 474, "authors": []}
    book.value.pages += 1
    rev = book.rev
    assert await books.save(book) is book
    assert book.rev != rev
    again = await books["emma"]
    assert (again.value, again.rev) == (book.value, book.rev)
    assert await books.save(again) is again
    assert again.rev == book.rev
    await books.delete(again)
    with pytest.raises(NotFoundError):
        await books.get("emma")
    again.value.pages = 1
    await books.save(again)
    assert (await db["emma"]).json == {"type": "book", "title": "Emma", "pages": 1, "authors": []}


async def test_an_id_is_made_and_one_that_is_there_is_a_conflict(books: Collection[Book]) -> None:
    book = await books.create(Book("Emma"))
    assert len(book.id) == 32
    with pytest.raises(ConflictError):
        await books.create(Book("Persuasion"), id=book.id)


@pytest.mark.parametrize("model", [Book, Frozen, Plain, Typed])
async def test_unknown_members_survive(db: Database, model: Any) -> None:
    kept = {"n": HUGE, "null": None, "deep": {"ü": [1.5, True, None]}}
    await fill(db, {"_id": "a", "type": "book", "title": "Emma", "pages": 1, **kept})
    books = db.collection(model, type="book")
    book = await books["a"]
    title = "Persuasion"
    new = {"title": title, "pages": 2}
    book.value = new if model is Typed else model(**new)
    await books.save(book)
    assert (await db["a"]).json == {"type": "book", **new, **kept}


async def test_unknown_members_of_parts_survive(db: Database, books: Collection[Book]) -> None:
    austen, knight = {"name": "Austen", "born": 1775}, {"name": "Knight", "n": HUGE}
    await fill(db, {"_id": "a", "type": "book", "title": "E", "authors": [austen, knight]})
    book = await books["a"]
    book.value.authors.reverse()
    book.value.authors[1].name = "Jane Austen"
    await books.save(book)
    assert (await db["a"]).json == {
        "type": "book",
        "title": "E",
        "authors": [knight, {"name": "Jane Austen", "born": 1775}],
    }


async def test_a_model_may_forbid_unknown_members(db: Database) -> None:
    books = db.collection(Strict, type="book")
    await books.create(Strict("Emma"), id="a")
    assert (await books["a"]).value == Strict("Emma")
    await db.update("a", lambda doc: doc.update(more=1))
    with pytest.raises(MisfitError, match="unknown field `more`"):
        await books["a"]


async def test_attachments_stay(db: Database, books: Collection[Book]) -> None:
    book = await books.create(Book("Emma"), id="a")
    await book.document.attachment("cover").save(b"\x00", "image/png")
    book.value.pages = 3
    await books.save(book)
    assert await (await db["a"]).attachment("cover").fetch() == b"\x00"
    assert (await books["a"]).value.pages == 3


async def test_of_two_saves_the_second_is_a_conflict(books: Collection[Book]) -> None:
    await books.create(Book("Emma"), id="a")
    first, second = await books["a"], await books["a"]
    first.value.pages = 1
    await books.save(first)
    second.value.pages = 2
    with pytest.raises(ConflictError):
        await books.save(second)
    assert (await books["a"]).value.pages == 1


async def test_update(books: Collection[Book]) -> None:
    await books.create(Book("Emma"), id="a")
    late = await books["a"]
    calls = 0

    async def count(book: Book) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            late.value.title = "Late"
            await books.save(late)
        book.pages += 1

    book = await books.update("a", count)
    assert calls == 2
    assert book.value == Book("Late", 1)
    assert book.rev == (await books["a"]).rev
    assert (await books.update("a", lambda book: Book("New"))).value == Book("New")
    await books.update("a", lambda book: Edit.LEAVE)
    await books.update("a", lambda book: Edit.DELETE)
    with pytest.raises(NotFoundError):
        await books["a"]


async def test_the_type_selects(db: Database, books: Collection[Book]) -> None:
    await fill(db, {"_id": "f", "type": "film", "title": "Emma"}, {"_id": "n", "title": "Emma"})
    await books.create(Book("Emma", 5), id="a")
    await books.create(Book("Persuasion", 9), id="b")
    assert [book.id async for book in books.all()] == ["a", "b"]
    assert [book.id async for book in books.find({"pages": {"$gt": 5}})] == ["b"]
    assert [book.id async for book in books.find({"type": "film"})] == []
    with pytest.raises(MisfitError, match="'f' does not fit: it is not of the type 'book'") as info:
        await books["f"]
    assert (info.value.document_id, info.value.place) == ("f", "$.type")
    untyped = db.collection(Book)
    assert [book.id async for book in untyped.all()] == ["a", "b", "f", "n"]


async def test_rows_of_a_view(db: Database, books: Collection[Book]) -> None:
    await fill(db, {"_id": "f", "type": "film", "title": "Emma"})
    await books.create(Book("Emma", 5), id="a")
    ddoc = await db.design_doc("d")
    await ddoc.create_view("titles", "function (doc) { emit(doc.title); }")
    assert [book.value async for book in books.view("d", "titles", key='"Emma"')] == [
        Book("Emma", 5)
    ]


async def test_own_name_of_the_type(db: Database) -> None:
    books = db.collection(Plain, type="book", type_field="kind")
    await books.create(Plain("Emma"), id="a")
    assert (await db["a"]).json == {"kind": "book", "title": "Emma", "pages": 0}
    assert [book.value async for book in books.all()] == [Plain("Emma")]


async def test_tagged_structs(db: Database) -> None:
    both: Collection[Film | Song] = db.collection(Film | Song)
    await both.create(Song("Yesterday", 125), id="s")
    await db.collection(Film).create(Film("Emma"), id="f")
    await fill(db, {"_id": "b", "type": "book", "title": "Emma"})
    assert (await db["s"]).json == {"type": "song", "title": "Yesterday", "seconds": 125}
    found = sorted([one.value async for one in both.all()], key=lambda one: str(one.title))
    assert found == [Film("Emma"), Song("Yesterday", 125)]
    assert [film.id async for film in db.collection(Film).all()] == ["f"]


async def test_a_misfit_is_named_and_ends_nothing(db: Database, books: Collection[Book]) -> None:
    wrong = [{"name": "Austen"}, {"name": 5}]
    await fill(
        db,
        {"_id": "a", "type": "book", "title": "Emma"},
        {"_id": "b", "type": "book", "title": "Persuasion", "authors": wrong},
        {"_id": "c", "type": "book", "title": "Sanditon"},
    )
    found = [book async for book in books.all()]
    assert [book.id for book in found] == ["a", "b", "c"]
    assert found[2].value.title == "Sanditon"
    with pytest.raises(MisfitError, match=r"'b' .*`str`.* at \$\.authors\[1\]\.name") as info:
        _ = found[1].value
    assert (info.value.document_id, info.value.place) == ("b", "$.authors[1].name")
    told: list[MisfitError] = []
    assert [book.id async for book in books.all(on_misfit=told.append)] == ["a", "c"]
    assert [error.document_id for error in told] == ["b"]
    stream = books.all(on_misfit="raise")
    assert (await anext(stream)).id == "a"
    with pytest.raises(MisfitError):
        await anext(stream)


async def test_a_misfit_can_be_replaced_by_its_document(
    db: Database, books: Collection[Book]
) -> None:
    await fill(db, {"_id": "a", "type": "book", "title": 5})
    book = books.of(await db["a"])
    book.document["title"] = "Five"
    assert book.value == Book("Five")
    await books.save(book)
    assert (await books["a"]).value == Book("Five")


async def test_many_are_saved(db: Database, books: Collection[Book]) -> None:
    old = await books.create(Book("Emma"), id="a")
    await db.update("a", lambda doc: doc.update(more=HUGE))
    old = await books["a"]
    old.value.pages = 7
    outcomes = [outcome async for outcome in books.save_many([old, Book("New")])]
    assert [outcome.state for outcome in outcomes] == ["written", "written"]
    assert (await db["a"])["more"] == HUGE
    assert (await books["a"]).rev == old.rev
    assert (await books[outcomes[1].id]).value == Book("New")
    old.value.pages = 8
    await books.save(old)

    async def stream() -> AsyncGenerator[Stored[Book], None]:
        async for book in books.all():
            book.value.pages += 1
            yield book

    assert (await books.save_many(stream())).written == 2
    assert (await books["a"]).value.pages == 9


async def test_what_does_not_fit_is_not_sent(db: Database, books: Collection[Book]) -> None:
    with pytest.raises(InvalidTypeError, match="must be Book, not int"):
        await books.create(5, id="a")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"at \$\.pages"):
        await books.create(Book("Emma", "5"), id="a")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="'film', not 'book'"):
        await db.collection(dict_of("type"), type="book").create({"type": "film"}, id="a")
    assert [doc async for doc in db.docs()] == []


def dict_of(name: str) -> Any:
    return TypedDict("Made", {name: str})  # type: ignore[operator]


async def test_the_body_of_a_request_is_no_selector(books: Collection[Book]) -> None:
    with pytest.raises(InvalidInputError, match="body of a request"):
        books.find({"selector": {"title": "Emma"}, "limit": 5})
