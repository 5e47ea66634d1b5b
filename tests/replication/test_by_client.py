"""Replication by the client, between the embedded server and the one under test, both ways."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database, InvalidInputError, InvalidTypeError, NotFoundError
from tests.replication.site import fresh_database
from tests.support.validation import refuses, until_validated, validating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.replication.site import Site

FILTER = "function (doc, req) { return doc.n % 2 == (req.query.r || 1) }"
REFUSES = validating("if (doc.n == 1) { throw({forbidden: 'not one'}) }")


def session_with(site: Site) -> CouchDB:
    return CouchDB(site.server.url, site.server.user, site.server.password)


@pytest.fixture
async def source(here: Site, near: str) -> AsyncIterator[Database]:
    """A database of the embedded server."""
    async with session_with(here) as couchdb:
        yield await couchdb[near]


@pytest.fixture
async def target(there: Site, far: str) -> AsyncIterator[Database]:
    """A database of the server under test."""
    async with session_with(there) as couchdb:
        yield await couchdb[far]


async def ids(database: Database) -> list[str]:
    return [doc_id async for doc_id in database.akeys()]


async def test_everything_comes_over(
    here: Site, there: Site, source: Database, target: Database
) -> None:
    await here.fill(source.id)
    result = await source.replicate_to(target)
    assert await there.trees(target.id) == await here.trees(source.id)
    assert (result.doc_write_failures, result.refused, result.pending) == (0, (), 0)
    assert result.docs_read == result.docs_written == result.missing_found
    assert result.json["ok"] is True


async def test_everything_comes_back(
    here: Site, there: Site, source: Database, target: Database
) -> None:
    await there.fill(target.id)
    await target.replicate_to(source)
    assert await here.trees(source.id) == await there.trees(target.id)


@pytest.mark.parametrize("options", [{}, {"batch_size": 7, "window": 2}, {"use_bulk_get": False}])
async def test_two_databases_become_one(
    here: Site, there: Site, source: Database, target: Database, options: Any
) -> None:
    await here.fill(source.id)
    await there.fill(target.id)
    await source.replicate_to(target, **options)
    await target.replicate_to(source, **options)
    assert await here.trees(source.id) == await there.trees(target.id)


async def test_it_goes_on_where_it_stopped(source: Database, target: Database) -> None:
    await source.bulk_docs([{"_id": f"d{n}"} for n in range(30)])
    first = await source.replicate_to(target)
    again = await source.replicate_to(target)
    assert (again.no_changes, again.missing_checked, again.json["no_changes"]) == (True, 0, True)
    await source.bulk_docs([{"_id": "later"}])
    later = await source.replicate_to(target)
    assert (later.no_changes, later.docs_written, later.missing_checked) == (False, 1, 1)
    assert first.replication_id == again.replication_id == later.replication_id
    sessions = later.json["history"]
    # as CouchDB counts
    assert [session["docs_written"] for session in sessions] == [31, 30]
    assert sessions[0]["start_last_seq"] == sessions[1]["recorded_seq"]
    for database in (source, target):
        (log,) = [await database.get(f"_local/{later.replication_id}")]
        assert log["history"] == sessions


async def test_a_log_that_one_end_lost_is_found_again(
    there: Site, source: Database, target: Database
) -> None:
    await source.bulk_docs([{"_id": f"d{n}"} for n in range(30)])
    path = f"{target.id}/_local/{(await source.replicate_to(target)).replication_id}"
    old = await there.get(path)
    await source.bulk_docs([{"_id": "later"}])
    await source.replicate_to(target)
    # the target has missed the last checkpoint: both remember the one before
    latest = await there.get(path)
    await there.must("PUT", path, {**old, "_rev": latest["_rev"]})
    again = await source.replicate_to(target)
    assert (again.missing_checked, again.docs_written) == (1, 0)
    await there.must("DELETE", f"{path}?rev={(await there.get(path))['_rev']}")
    whole = await source.replicate_to(target)
    assert (whole.missing_checked, whole.docs_written) == (31, 0)


@pytest.mark.parametrize("options", [{}, {"selector": {"n": {"$gt": 3}, "m": None}}])
async def test_checkpoints_are_shared_with_the_servers_replicator(
    here: Site, there: Site, source: Database, target: Database, options: Any
) -> None:
    await source.bulk_docs([{"_id": f"d{n}", "n": n, "m": None} for n in range(9)])
    wish = {"source": here.end(source.id), "target": there.end(target.id), **options}
    if options:
        # the id of a selector is that of its normal form, which only a server knows
        session_id = (await there.replicate(wish))["session_id"]
        (log,) = (await there.get(f"{target.id}/_local_docs"))["rows"]
        options = {**options, "replication_id": log["id"].removeprefix("_local/")}
    else:
        session_id = (await source.replicate_to(target)).json["session_id"]
    for _ in range(2):
        by_server = await there.replicate(wish)
        assert by_server["no_changes"] is True
        assert by_server["session_id"] == session_id
        by_client = await source.replicate_to(target, **options)
        assert by_client.no_changes
    await source.bulk_docs([{"_id": "later", "n": 4, "m": None}])
    assert (await there.replicate(wish))["history"][0]["missing_checked"] >= 1
    assert (await source.replicate_to(target, **options)).no_changes


async def test_changed_documents_follow(
    here: Site, there: Site, source: Database, target: Database
) -> None:
    await here.fill(source.id)
    await source.replicate_to(target)
    for name in ("d1", "files", "fork", "inline"):
        document = await source[name]
        document["changed"] = True
        await document.save()
    await (await source["d2"]).delete()
    result = await source.replicate_to(target)
    assert result.docs_written == 5
    assert await there.trees(target.id) == await here.trees(source.id)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"doc_ids": ["c", "a", "none", "%62"]}, ["a", "c"]),
        ({"selector": {"n": {"$gte": 2}}}, ["c", "d"]),
        ({"filter": "f/odd"}, ["b", "d"]),
        ({"filter": "f/odd", "query_params": {"r": 0}}, ["a", "c"]),
    ],
)
async def test_what_is_chosen(
    source: Database, target: Database, options: Any, expected: list[str]
) -> None:
    await source.bulk_docs([{"_id": "abcd"[n], "n": n} for n in range(4)])
    await source.bulk_docs([{"_id": "_design/f", "filters": {"odd": FILTER}}])
    result = await source.replicate_to(target, **options)
    assert await ids(target) == expected
    await source.bulk_docs([{"_id": "e", "n": -7}])
    await source.replicate_to(target, **options)
    # what the filter has let pass by is not looked at again
    again = await source.replicate_to(target, **options)
    assert again.no_changes
    assert again.replication_id == result.replication_id


async def test_only_winners(source: Database, target: Database) -> None:
    body = [{"_id": "d", "_rev": f"1-{letter * 32}"} for letter in "ab"]
    await source.bulk_docs(body, new_edits=False)
    result = await source.replicate_to(target, winning_revs_only=True)
    assert result.docs_written == 1
    assert (await target["d"]).rev == f"1-{'b' * 32}"


async def test_a_target_is_created(source: Database, there: Site) -> None:
    await source.bulk_docs([{"_id": "d"}])
    async with session_with(there) as couchdb, fresh_database(there) as name:
        made = await couchdb[name]
        await made.delete()
        with pytest.raises(NotFoundError):
            await source.replicate_to(made)
        for _ in range(2):
            await source.replicate_to(made, create_target=True, create_target_params={"q": 1})
        assert await ids(made) == ["d"]
        assert (await made.info())["cluster"]["q"] == 1


async def test_what_the_target_refuses_is_told(source: Database, target: Database) -> None:
    await target.bulk_docs([{"_id": "_design/v", "validate_doc_update": REFUSES}])
    await until_validated(partial(refuses, target))
    inline = {"x": {"content_type": "x/y", "data": "AAEC"}}
    await source.bulk_docs(
        [{"_id": "a", "n": 1}, {"_id": "b"}, {"_id": "c", "n": 1, "_attachments": inline}]
    )
    told: list[str] = []
    result = await source.replicate_to(target, on_refused=lambda item: told.append(item.id))
    assert (result.docs_written, result.doc_write_failures) == (1, 2)
    assert {(item.id, item.error, item.reason) for item in result.refused} == {
        ("a", "forbidden", "not one"),
        ("c", "forbidden", "not one"),
    }
    assert sorted(told) == ["a", "c"]
    assert {item.rev for item in result.refused} == {
        (await source["a"]).rev,
        (await source["c"]).rev,
    }
    assert await ids(target) == ["_design/v", "b"]


async def test_without_checkpoints_nothing_is_written(source: Database, target: Database) -> None:
    await source.bulk_docs([{"_id": "d"}])
    for checked in range(2):
        result = await source.replicate_to(target, use_checkpoints=False)
        assert (result.missing_checked, result.docs_written) == (1, 1 - checked)
        for database in (source, target):
            with pytest.raises(NotFoundError):
                await database.get(f"_local/{result.replication_id}")


async def test_since_seq(source: Database, target: Database) -> None:
    await source.bulk_docs([{"_id": "a"}])
    seq = (await source.info())["update_seq"]
    await source.bulk_docs([{"_id": "b"}])
    await source.replicate_to(target, since_seq=seq)
    assert await ids(target) == ["b"]


async def test_a_continuous_one_follows_until_it_is_stopped(
    source: Database, target: Database
) -> None:
    await source.bulk_docs([{"_id": "first"}])
    replication = source.replicate_to(target, continuous=True, checkpoint_interval=0.05)
    seen: list[int] = []
    async for progress in replication:
        if progress.docs_written != (seen or [0])[-1]:
            seen.append(progress.docs_written)
            await source.bulk_docs([{"_id": f"next{len(seen)}"}])
        if len(seen) == 4:
            replication.stop()
    assert replication.result is not None
    assert (await source.replicate_to(target)).missing_checked <= 1 + len(seen)
    assert await ids(target) == await ids(source)


async def test_leaving_the_loop_ends_it(source: Database, target: Database) -> None:
    await source.bulk_docs([{"_id": "first"}])
    replication = source.replicate_to(target, continuous=True)
    events = aiter(replication)
    while (await anext(events)).docs_written == 0:
        pass
    await events.aclose()
    assert replication.result is None
    assert replication.progress.docs_written == 1


async def test_a_continuous_one_ends_with_its_source(source: Database, target: Database) -> None:
    await source.bulk_docs([{"_id": "first"}])
    replication = source.replicate_to(target, continuous=True)
    events = aiter(replication)
    while (await anext(events)).docs_written == 0:
        pass
    await source.delete()
    with pytest.raises(NotFoundError):
        await _last_of(events)
    await source.couchdb.create(source.id)


async def _last_of(events: AsyncIterator[Any]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"doc_ids": ["a"], "selector": {}}, InvalidInputError),
        ({"filter": "odd"}, InvalidInputError),
        ({"batch_size": 0}, InvalidInputError),
        ({"checkpoint_interval": 0}, InvalidInputError),
        ({"selector": "x"}, InvalidTypeError),
        ({"doc_ids": "x"}, InvalidTypeError),
        ({"batchsize": 1}, InvalidTypeError),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(
    options: dict[str, Any], error: type[Exception]
) -> None:
    a, b = (Database(CouchDB("http://127.0.0.1:1"), name) for name in "ab")
    with pytest.raises(error):
        a.replicate_to(b, **options)
