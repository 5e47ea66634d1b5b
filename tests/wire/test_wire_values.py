"""All documents as values of a model, from every form of answer: whole, misfitting, deep, reformatted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import pydantic
import pytest

from aiocouch import (
    CouchDB,
    NotFoundError,
    RetryPolicy,
    TruncatedError,
    UnexpectedAnswerError,
)
from aiocouch.models import MisfitError
from tests.wire.canned import Answer, cut_up, doc_row, json_answer, row, rows_answer, rows_text

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.models import Stored
    from tests.wire.canned import CannedServer

MANY = 300
LAST = doc_row("z", title="z")
"""The last row of a batch is read in another way than those before it."""


class Named(msgspec.Struct):
    """A model that keeps a part of its documents."""

    title: str
    n: int = 0


class Anything(msgspec.Struct):
    """A model with a place for any JSON."""

    title: str
    deep: Any = None


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    """A model that knows all members."""

    title: str


class Picky(msgspec.Struct):
    """A model that raises what it likes."""

    title: str

    def __post_init__(self) -> None:
        if self.title == "bad":
            raise LookupError("it is bad")


class Checked(pydantic.BaseModel):
    """A model of pydantic."""

    title: str


@dataclass
class Plain:
    """A dataclass."""

    title: str


class Words(TypedDict):
    """A TypedDict."""

    title: str


def title_of(value: Any) -> str:
    found: str = value["title"] if isinstance(value, dict) else value.title
    return found


async def read(base: Database, model: Any) -> list[Stored[Any]]:
    return [each async for each in base.collection(model).all()]


def seen(stored: Stored[Any]) -> tuple[str, str]:
    return stored.id, title_of(stored.value)


@pytest.mark.parametrize("model", [Named, Anything, Closed, Picky, Checked, Plain, Words])
@pytest.mark.parametrize("size", [None, 1, 70, 4000])
async def test_every_kind_of_model(
    canned: CannedServer, base: Database, model: type, size: int | None
) -> None:
    body = rows_text([doc_row(f"d{n}", title=f"n{n}") for n in range(MANY)], MANY)
    canned.say(Answer(body=body) if size is None else Answer(pieces=cut_up(body, size)))
    stored = await read(base, model)
    assert [seen(each) for each in stored] == [(f"d{n}", f"n{n}") for n in range(MANY)]
    assert {each.rev for each in stored} == {"1-a"}


@pytest.mark.parametrize("form", ["indented", "one line", "in another order", "without \\r"])
async def test_rows_that_a_proxy_has_written_anew(
    canned: CannedServer, base: Database, form: str
) -> None:
    rows = [doc_row(f"d{n}", title=f"n{n}", text="[{,\r\n}]") for n in range(5)]
    if form == "in another order":
        rows = [dict(reversed(each.items())) for each in rows]
    whole = {"total_rows": 5, "offset": 0, "rows": rows}
    text = rows_text(rows, 5).decode()
    forms = {"indented": json.dumps(whole, indent=1), "one line": json.dumps(whole)}
    canned.say(Answer(body=forms.get(form, text.replace("\r\n", "\n")).encode()))
    stored = await read(base, Named)
    assert [seen(each) for each in stored] == [(f"d{n}", f"n{n}") for n in range(5)]
    assert [each.document["text"] for each in stored] == ["[{,\r\n}]"] * 5


async def test_members_that_the_model_does_not_know_are_saved(
    canned: CannedServer, base: Database
) -> None:
    canned.say(
        rows_answer(doc_row("a", title="x", big=2**70, ü=[{}, None]), doc_row("b", title="y"))
    )
    canned.say(json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201))
    names = base.collection(Named)
    first, second = [each async for each in names.all()]
    first.value.title = "z"
    await names.save(first)
    await names.save(second)
    assert canned.requests[-1].json() == {
        "_id": "a",
        "_rev": "1-a",
        "title": "z",
        "big": 2**70,
        "ü": [{}, None],
    }
    assert len(canned.requests) == 2


async def test_a_value_is_read_at_its_first_access(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a", title="x", more=1), doc_row("b", title="y"), LAST))
    first, second, _ = await read(base, Named)
    first.document["title"] = "z"
    assert first.value.title == "z"
    assert second.value.title == "y"
    second.document["title"] = "z"
    assert second.value.title == "y"
    assert (first.document["more"], second.document.id) == (1, "b")


async def test_a_value_that_was_not_looked_at_is_set(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a", title="x", more=1), doc_row("b", title="y", more=2), LAST))
    canned.say(json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201))
    first, second, _ = await read(base, Named)
    first.value = Named("z", 3)
    names = base.collection(Named)
    await names.save(first)
    await names.save(second)
    sent = {"_id": "a", "_rev": "1-a", "title": "z", "n": 3, "more": 1}
    assert canned.requests[-1].json() == sent
    assert len(canned.requests) == 2


async def test_what_does_not_fit_is_told_by_its_value(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(*(doc_row(f"d{n}", title=n if n % 2 else f"n{n}") for n in range(7))))
    stored = await read(base, Named)
    assert [each.id for each in stored] == [f"d{n}" for n in range(7)]
    for n, each in enumerate(stored):
        if n % 2 == 0:
            assert each.value.title == f"n{n}"
        else:
            with pytest.raises(match=rf"'d{n}'.* at \$\.title"):
                _ = each.value
            assert each.document["title"] == n


async def test_what_a_model_raises_is_raised_by_its_value(
    canned: CannedServer, base: Database
) -> None:
    canned.say(rows_answer(*(doc_row(name, title=name) for name in ("good", "bad", "well"))))
    good, bad, well = await read(base, Picky)
    assert (good.value.title, well.value.title) == ("good", "well")
    with pytest.raises(LookupError, match="it is bad"):
        _ = bad.value


async def test_design_documents_are_passed_over(canned: CannedServer, base: Database) -> None:
    ids = ("_design/a", "b", "_design/c", "d", "_design/e")
    canned.say(rows_answer(*(doc_row(id, title=id) for id in ids)))
    assert [each.id for each in await read(base, Named)] == ["b", "d"]


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_row_without_its_document(canned: CannedServer, base: Database, place: int) -> None:
    rows = [doc_row(f"d{n}", title="x") for n in range(3)]
    rows[place] = row("gone", doc=None)
    canned.say(rows_answer(*rows))
    rest = base.collection(Named).all()
    assert [(await anext(rest)).id for _ in range(place)] == [f"d{n}" for n in range(place)]
    with pytest.raises(NotFoundError, match="'gone'"):
        await anext(rest)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("broken", ["{", "[1]", '{"id":"d","doc":{"title":"x"}', '"x"'])
async def test_a_line_that_is_not_a_row(
    canned: CannedServer, base: Database, place: int, broken: str
) -> None:
    lines = [json.dumps(doc_row(f"d{n}", title="x")) for n in range(4)]
    lines[place] = broken
    text = ",\r\n".join(lines)
    canned.say(Answer(body=f'{{"total_rows":4,"offset":0,"rows":[\r\n{text}\r\n]}}\n'.encode()))
    with pytest.raises((UnexpectedAnswerError, TruncatedError)):
        await read(base, Named)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_a_document_that_is_too_deep_has_a_value_all_the_same(
    canned: CannedServer, base: Database, place: int
) -> None:
    lines = [json.dumps(doc_row(f"d{n}", title=f"n{n}")) for n in range(4)]
    deep = "[" * 100_000 + "]" * 100_000
    lines[place] = lines[place].replace('"title"', f'"deep": {deep}, "title"')
    text = ",\r\n".join(lines)
    canned.say(Answer(body=f'{{"total_rows":4,"offset":0,"rows":[\r\n{text}\r\n]}}\n'.encode()))
    stored = await read(base, Named)
    assert [each.id for each in stored] == [f"d{n}" for n in range(4)]
    for n, each in enumerate(stored):
        if n != place:
            assert each.value.title == f"n{n}"
        else:
            with pytest.raises(MisfitError, match=f"'d{n}'"):
                _ = each.value


async def test_it_goes_on_where_it_broke_off(canned: CannedServer) -> None:
    rows = [doc_row(f"d{n:03}", title=f"n{n}") for n in range(MANY)]
    first = rows_text(rows, MANY)
    start = first[: len(first) // 2].count(b"\n") - 2  # of the last whole row
    canned.say(Answer(body=first[: len(first) // 2], cut=True, length=len(first)))
    canned.say(rows_answer(*rows[start:]))
    policy = RetryPolicy(first_wait=0.001)
    async with CouchDB(canned.url, retry=policy) as couchdb:
        stored = await read(couchdb.database("db"), Named)
    assert [seen(each) for each in stored] == [(f"d{n:03}", f"n{n}") for n in range(MANY)]
    assert canned.requests[1].query["startkey"] == json.dumps(f"d{start:03}")
