"""`_replicator` documents and what `_scheduler` tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.replication.site import Site


async def document_state(
    here: Site, doc_id: str, *states: str, database: str = "_replicator"
) -> dict[str, Any]:
    """Ask until a document is in one of these states."""
    while True:
        shown = await here.get(f"_scheduler/docs/{database}/{doc_id}")
        if shown["state"] in states:
            return dict(shown)


async def test_a_missing_target_makes_the_job_crash(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end("nosuch")}
    await here.must("PUT", "_replicator/job", body)
    shown = await document_state(here, "job", "crashing")
    assert shown["error_count"] >= 1
    assert shown["info"]["error"].startswith("db_not_found: could not open")
    (job,) = (await here.get("_scheduler/jobs"))["jobs"]
    assert [event["type"] for event in job["history"]][-2:] == ["started", "added"]
    assert job["doc_id"] == "job"
    assert "_replication_state" not in await here.get("_replicator/job")


async def test_a_missing_filter_is_an_error(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end(near), "filter": "no/such"}
    await here.must("PUT", "_replicator/job", body)
    shown = await document_state(here, "job", "error")
    assert "Couldn't open document" in shown["info"]["error"]
    assert (await here.get("_scheduler/jobs"))["total_rows"] == 0


async def test_deleting_the_document_ends_the_job(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end("made"), "create_target": True}
    made = await here.must("PUT", "_replicator/job", {**body, "continuous": True})
    await here.must("PUT", f"{near}/first", {})
    while (await here.ask("GET", "made"))[0] != 200:
        pass
    await here.wait_for("made", "first")
    await here.must("DELETE", f"_replicator/job?rev={made['rev']}")
    while (await here.get("_scheduler/jobs"))["total_rows"]:
        pass
    assert (await here.ask("GET", "_scheduler/docs/_replicator/job"))[0] == 404


async def test_a_changed_document_is_another_replication(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end("one"), "create_target": True}
    made = await here.must("PUT", "_replicator/job", body)
    await here.wait_for_state("job", "completed")
    made = await here.get("_replicator/job")
    again = {**body, "target": here.end("two"), "_rev": made["_rev"]}
    await here.must("PUT", "_replicator/job", again)
    await here.wait_for_state("job", "completed")
    assert {"one", "two"} <= set(await here.get("_all_dbs"))


async def test_two_documents_with_one_wish(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end(near), "continuous": True}
    await here.must("PUT", "_replicator/a", body)
    await document_state(here, "a", "running")
    await here.must("PUT", "_replicator/b", body)
    reason = (await here.wait_for_state("b", "failed"))["_replication_state_reason"]
    assert "specified by document `b` already started" in reason
    assert reason.endswith("triggered by document `a` from db `_replicator`")


async def test_a_database_whose_name_ends_so_is_watched_too(here: Site, near: str) -> None:
    own = "team%2F_replicator"
    await here.must("PUT", own)
    status, refusal = await here.ask("PUT", f"{own}/bad", {"source": "x", "target": "y"})
    assert (status, refusal["reason"]) == (403, "local_endpoints_not_supported")
    body = {"source": here.end(near), "target": here.end("made"), "create_target": True}
    await here.must("PUT", f"{own}/job", {**body, "continuous": True})
    shown = await document_state(here, "job", "running", database=own)
    assert shown["database"] == "team/_replicator"
    assert (await here.get(f"{own}/job"))["owner"] == "admin"
    (job,) = (await here.get("_scheduler/jobs"))["jobs"]
    assert (job["database"], job["doc_id"]) == ("team/_replicator", "job")
    assert (await here.get("_scheduler/docs"))["docs"] == []
    assert (await here.get("_scheduler/docs/team/_replicator"))["total_rows"] == 1
    await here.must("DELETE", own)
    while (await here.get("_scheduler/jobs"))["total_rows"]:
        pass


async def test_the_list_of_documents(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end(near)}
    for name in ("a", "b"):
        await here.must("PUT", f"_replicator/{name}", {**body, "doc_ids": [name]})
        await here.wait_for_state(name, "completed")
    everything = await here.get("_scheduler/docs")
    assert everything["total_rows"] == 2
    assert [row["doc_id"] for row in everything["docs"]] == ["a", "b"]
    page = await here.get("_scheduler/docs/_replicator?skip=1&limit=1")
    assert [row["doc_id"] for row in page["docs"]] == ["b"]
    assert (await here.get("_scheduler/docs?states=Running,"))["docs"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"source": "x"},
        {"source": "http://a/b", "target": "c"},
        {"source": {}, "target": "http://a/b"},
        {"source": "http://a/b", "target": "http://a/c", "continuous": "x"},
        {"source": "http://a/b", "target": "http://a/c", "filter": "nofilter"},
        {"source": "http://a/b", "target": "http://a/c", "user_ctx": 5},
    ],
)
async def test_what_is_no_replication_is_refused(here: Site, body: dict[str, Any]) -> None:
    status, answer = await here.ask("PUT", "_replicator/bad", body)
    assert (status, answer["error"]) == (403, "forbidden")


async def test_documents_belong_to_who_wrote_them(here: Site) -> None:
    for name in ("jan", "noah"):
        user: dict[str, Any] = {"name": name, "password": "x", "roles": [], "type": "user"}
        await here.must("PUT", f"_users/org.couchdb.user:{name}", user)
    members = {"members": {"names": ["jan", "noah"]}, "admins": {"names": []}}
    await here.must("PUT", "_replicator/_security", members)
    jan, noah = "Basic amFuOng=", "Basic bm9haDp4"
    wish = {"source": "http://127.0.0.1:1/a", "target": "http://127.0.0.1:1/b"}
    made = await here.must("PUT", "_replicator/job", wish, Authorization=jan)
    assert (await here.get("_replicator/job"))["owner"] == "jan"
    changed = {**wish, "continuous": True, "_rev": made["rev"]}
    status, _ = await here.ask("PUT", "_replicator/job", changed, Authorization=noah)
    assert status == 403
    stolen = {**wish, "owner": "jan"}
    assert (await here.ask("PUT", "_replicator/x", stolen, Authorization=noah))[0] == 403
    assert (await here.ask("PUT", "_replicator/job", changed, Authorization=jan))[0] == 201


async def test_what_is_refused_is_no_conflict(here: Site, near: str) -> None:
    body = {"source": here.end(near), "target": here.end(near), "continuous": True}
    await here.must("PUT", "_replicator/job", body)
    assert (await here.ask("PUT", "_replicator/job", {"source": "x"}))[0] == 403


async def test_design_documents_are_left_alone(here: Site) -> None:
    await here.must("PUT", "_replicator/_design/x", {})
    assert (await here.get("_scheduler/docs"))["docs"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "_scheduler", 404),
        ("GET", "_scheduler/nosuch", 404),
        ("GET", "_scheduler/jobs/none", 404),
        ("GET", "_scheduler/docs/other", 400),
        ("POST", "_scheduler/jobs", 405),
        ("GET", "_scheduler/docs?limit=x", 400),
    ],
)
async def test_the_paths_of_the_scheduler(here: Site, method: str, path: str, status: int) -> None:
    assert (await here.ask(method, path))[0] == status


async def test_a_purge_of_the_latest_document_leaves_the_server_alive(
    here: Site, near: str
) -> None:
    body = {"source": here.end(near), "target": here.end("one"), "create_target": True}
    made = await here.must("PUT", "_replicator/job", body)
    await here.wait_for_state("job", "completed")
    made = await here.get("_replicator/job")
    await here.must("POST", "_replicator/_purge", {"job": [made["_rev"]]})
    await here.must("PUT", "_replicator/other", {**body, "create_target": False})
    await here.wait_for_state("other", "completed")
