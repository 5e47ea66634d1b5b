"""Shards that are split into two while they are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aiocouch._wire.codec import encode
from aiocouch._wire.ids import quote_name
from aiocouch.exception import InvalidInputError
from aiocouch.server.answers import Jobs
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from aiocouch.answers import ReshardJob, ReshardRow, ReshardState, ReshardSummary
    from aiocouch.remote import Remote

__all__ = ["Reshard"]


class Reshard:
    """The jobs that split shards (`/_reshard`). For server admins, on a cluster of CouchDB 3."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def summary(self) -> ReshardSummary:
        """Return `state`, `state_reason` and the numbers of jobs by state (`GET /_reshard`)."""
        found = await self._remote.json("GET", "/_reshard", into=JsonDict)
        return cast("ReshardSummary", found)

    async def state(self) -> ReshardState:
        """Return `state` ("running" or "stopped") and `reason` (`GET /_reshard/state`)."""
        found = await self._remote.json("GET", "/_reshard/state", into=JsonDict)
        return cast("ReshardState", found)

    async def start(self, reason: str | None = None) -> None:
        """Let the jobs of the whole cluster go on (`PUT /_reshard/state`)."""
        await self._put_state("/_reshard/state", "running", reason)

    async def stop(self, reason: str | None = None) -> None:
        """Stop the jobs of the whole cluster (`PUT /_reshard/state`)."""
        await self._put_state("/_reshard/state", "stopped", reason)

    async def jobs(self) -> list[ReshardJob]:
        """Return all jobs: `id`, `source`, `target`, `job_state`, … (`GET /_reshard/jobs`)."""
        found = await self._remote.json("GET", "/_reshard/jobs", into=Jobs)
        return cast("list[ReshardJob]", found.jobs)

    async def job(self, id: str) -> ReshardJob:
        """Return a job (`GET /_reshard/jobs/{jobid}`). Raise `NotFoundError`."""
        return cast("ReshardJob", await self._remote.json("GET", _path(id), into=JsonDict))

    async def split(
        self,
        db: str | None = None,
        *,
        node: str | None = None,
        range: str | None = None,
        shard: str | None = None,
    ) -> list[ReshardRow]:
        """Begin to split shards (`POST /_reshard/jobs`).

        Those of a database, on a `node` and of a `range` where given; or one `shard` by its name.
        Return a row for each: `{"ok", "id", "node", "shard"}` or `{"error", "node", "shard"}`.
        """
        if (db is None) == (shard is None):
            raise InvalidInputError("split() takes the name of a database or of a shard")
        asked: dict[str, Any] = {"db": db, "node": node, "range": range, "shard": shard}
        given = {name: value for name, value in asked.items() if value is not None}
        body = encode({"type": "split", **given})
        path = "/_reshard/jobs"
        found = await self._remote.json("POST", path, into=list[JsonDict], body=body)
        return cast("list[ReshardRow]", found)

    async def remove(self, id: str) -> None:
        """Stop and forget a job (`DELETE /_reshard/jobs/{jobid}`)."""
        await self._remote.json("DELETE", _path(id), into=JsonDict)

    async def job_state(self, id: str) -> ReshardState:
        """Return the `state` of a job and the `reason` (`GET /_reshard/jobs/{jobid}/state`)."""
        found = await self._remote.json("GET", f"{_path(id)}/state", into=JsonDict)
        return cast("ReshardState", found)

    async def start_job(self, id: str, reason: str | None = None) -> None:
        """Let a stopped job go on (`PUT /_reshard/jobs/{jobid}/state`)."""
        await self._put_state(f"{_path(id)}/state", "running", reason)

    async def stop_job(self, id: str, reason: str | None = None) -> None:
        """Stop a job, which can go on later (`PUT /_reshard/jobs/{jobid}/state`)."""
        await self._put_state(f"{_path(id)}/state", "stopped", reason)

    async def _put_state(self, path: str, state: str, reason: str | None) -> None:
        # the documentation calls it state_reason, CouchDB reads reason
        told = {} if reason is None else {"reason": reason}
        body = encode({"state": state, **told})
        await self._remote.json("PUT", path, into=JsonDict, body=body)


def _path(id: str) -> str:
    return f"/_reshard/jobs/{quote_name(id, 'id of the job')}"
