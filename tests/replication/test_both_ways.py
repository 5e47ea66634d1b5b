"""Whole databases between the embedded server and another: trees must arrive equal."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.replication.site import Site


@pytest.mark.parametrize("runner", ["here", "there"])
async def test_push_gives_equal_trees(
    here: Site, there: Site, near: str, far: str, runner: str
) -> None:
    await here.fill(near)
    runs = here if runner == "here" else there
    answer = await runs.replicate({"source": here.end(near), "target": there.end(far)})
    session = answer["history"][0]
    assert session["doc_write_failures"] == 0
    assert session["docs_written"] == session["missing_found"] > 620
    assert await there.trees(far) == await here.trees(near)


@pytest.mark.parametrize("runner", ["here", "there"])
async def test_pull_gives_equal_trees(
    here: Site, there: Site, near: str, far: str, runner: str
) -> None:
    await there.fill(far)
    runs = here if runner == "here" else there
    await runs.replicate({"source": there.end(far), "target": here.end(near)})
    assert await here.trees(near) == await there.trees(far)


async def test_an_edit_on_both_sides_becomes_the_same_conflict(
    here: Site, there: Site, near: str, far: str
) -> None:
    first = await here.must("PUT", f"{near}/d", {"n": 1})
    push = {"source": here.end(near), "target": there.end(far)}
    pull = {"source": there.end(far), "target": here.end(near)}
    await here.replicate(push)
    for site, name, n in ((here, near, 2), (there, far, 3)):
        await site.must("PUT", f"{name}/d", {"_rev": first["rev"], "n": n})
    await here.replicate(push)
    await here.replicate(pull)
    assert await here.trees(near) == await there.trees(far)
    assert len((await here.get(f"{near}/d?conflicts=true"))["_conflicts"]) == 1


async def test_the_same_edit_on_both_sides_is_no_conflict(
    here: Site, there: Site, near: str, far: str
) -> None:
    document = {"n": 1.5, "_attachments": {"t": {"content_type": "text/plain", "data": "aGk="}}}
    revs = [
        (await site.must("PUT", f"{name}/d", document))["rev"]
        for site, name in ((here, near), (there, far))
    ]
    assert revs[0] == revs[1]
    answer = await here.replicate({"source": here.end(near), "target": there.end(far)})
    assert answer["history"][0]["missing_found"] == 0


async def test_only_what_is_new_travels_again(here: Site, there: Site, near: str, far: str) -> None:
    await here.fill(near)
    push = {"source": here.end(near), "target": there.end(far)}
    before = (await here.replicate(push))["history"][0]
    document = await here.get(f"{near}/files")
    await here.must("PUT", f"{near}/files", {**document, "more": True})
    after = (await here.replicate(push))["history"]
    assert len(after) == 2
    assert after[0]["start_last_seq"] == before["recorded_seq"]
    assert after[0]["docs_written"] - before["docs_written"] == 1
    assert await there.trees(far) == await here.trees(near)
    assert (await here.replicate(push))["no_changes"] is True


async def test_both_ends_keep_the_log(here: Site, there: Site, near: str, far: str) -> None:
    await here.must("PUT", f"{near}/d", {})
    answer = await here.replicate({"source": here.end(near), "target": there.end(far)})
    logs = []
    for site, name in ((here, near), (there, far)):
        (row,) = (await site.get(f"{name}/_local_docs?include_docs=true"))["rows"]
        logs.append(row["doc"])
    assert logs[0] == logs[1]
    assert logs[0]["session_id"] == answer["session_id"]
    assert logs[0]["history"] == answer["history"]
    assert logs[0]["replication_id_version"] == 4


@pytest.mark.parametrize("runner", ["here", "there"])
@pytest.mark.parametrize("direction", ["push", "pull"])
async def test_a_continuous_replication_follows_and_is_cancelled(
    here: Site, there: Site, near: str, far: str, runner: str, direction: str
) -> None:
    ends = [(here, near), (there, far)]
    source, target = ends if direction == "push" else ends[::-1]
    body = {"source": source[0].end(source[1]), "target": target[0].end(target[1])}
    runs = here if runner == "here" else there
    started = await runs.replicate({**body, "continuous": True})
    assert started["_local_id"].endswith("+continuous")
    for name in ("first", "second"):
        await source[0].must("PUT", f"{source[1]}/{name}", {"name": name})
        assert (await target[0].wait_for(target[1], name))["name"] == name
    jobs = (await runs.get("_scheduler/jobs"))["jobs"]
    assert started["_local_id"] in [job["id"] for job in jobs]
    cancelled = await runs.replicate({**body, "continuous": True, "cancel": True})
    assert cancelled == {"ok": True, "_local_id": started["_local_id"]}
    status, _ = await runs.ask("GET", f"_scheduler/jobs/{quote(started['_local_id'])}")
    assert status == 404


async def test_a_document_replicates_and_says_so(
    here: Site, there: Site, near: str, far: str
) -> None:
    await here.fill(near)
    await here.must("PUT", "_replicator/job", {"source": here.end(near), "target": there.end(far)})
    document = await here.wait_for_state("job", "completed")
    assert document["owner"] == "admin"
    assert document["_replication_stats"]["doc_write_failures"] == 0
    assert await there.trees(far) == await here.trees(near)
    shown = await here.get("_scheduler/docs/_replicator/job")
    assert (shown["state"], shown["error_count"]) == ("completed", 0)
