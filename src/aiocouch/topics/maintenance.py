"""What administrators do to a database from time to time."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import encode
from aiocouch._wire.ids import quote_design_name, quote_name
from aiocouch.exception import BadRequestError, NotFoundError
from aiocouch.newer import refused_by
from aiocouch.topics.answers import ShardMap
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from aiocouch.answers import DocumentShard
    from aiocouch.remote import Remote

__all__ = ["Maintenance"]


class Maintenance:
    """Compaction, clean-up and shards of a database. For its admins.

    What begins a job returns when the server has taken it on; `CouchDB.active_tasks` tells of it.
    """

    def __init__(self, remote: Remote, endpoint: str) -> None:
        self._remote = remote
        self._endpoint = endpoint

    async def compact(self) -> None:
        """Begin to remove the bodies of old revisions (`POST /{db}/_compact`)."""
        await self._post("_compact")

    async def compact_views(self, design_doc: str) -> None:
        """Begin to compact the indexes of a design document (`POST /{db}/_compact/{ddoc}`).

        Raise `NotFoundError` when there is none of that name.
        """
        await self._post(f"_compact/{quote_design_name(design_doc)}")

    async def clean_views(self) -> None:
        """Remove the files of indexes that no design document has (`POST /{db}/_view_cleanup`)."""
        await self._post("_view_cleanup")

    async def clean_search(self, *, nouveau: bool = False) -> None:
        """Remove the files of search indexes that no design document has.

        `POST /{db}/_search_cleanup`, or `_nouveau_cleanup`. Raise `NotFoundError` where there is no
        search service.
        """
        await self._post("_nouveau_cleanup" if nouveau else "_search_cleanup")

    async def ensure_full_commit(self) -> str:
        """Wait until all is on the disk (`POST /{db}/_ensure_full_commit`).

        CouchDB 3 writes every acknowledged document to the disk by itself. Return
        `instance_start_time`, which tells one database of a name from a later one.
        """
        return str((await self._post("_ensure_full_commit")).get("instance_start_time"))

    async def shards(self) -> dict[str, list[str]]:
        """Return the nodes that hold each range of the database (`GET /{db}/_shards`)."""
        path = f"{self._endpoint}/_shards"
        return (await self._remote.json("GET", path, into=ShardMap)).shards

    async def shard_of(self, id: str) -> DocumentShard:
        """Return the `range` of a document and its `nodes` (`GET /{db}/_shards/{docid}`).

        The document need not exist.
        """
        path = f"{self._endpoint}/_shards/{quote_name(id, 'document id')}"
        return cast("DocumentShard", await self._remote.json("GET", path, into=JsonDict))

    async def sync_shards(self) -> None:
        """Begin to make the copies of all shards equal (`POST /{db}/_sync_shards`)."""
        await self._post("_sync_shards")

    async def auto_purge(self) -> JsonDict:
        """Return when tombstones are purged (`GET /{db}/_auto_purge`).

        CouchDB has it after 3.5.2; before that this raises `NotFoundError`, which says so.
        """
        return await self._newer("GET", "_auto_purge")

    async def set_auto_purge(self, deleted_document_ttl: str) -> None:
        """Let tombstones be purged after a time, such as `"3_hour"` (`PUT /{db}/_auto_purge`).

        CouchDB has it after 3.5.2; before that this raises `BadRequestError`, which says so.
        """
        await self._newer("PUT", "_auto_purge", {"deleted_document_ttl": deleted_document_ttl})

    async def time_seq(self) -> JsonDict:
        """Return which sequences belong to which times, by shard (`GET /{db}/_time_seq`).

        With it a feed takes a time as `since`. CouchDB has it after 3.5.2, as `auto_purge`.
        """
        return await self._newer("GET", "_time_seq")

    async def reset_time_seq(self) -> None:
        """Forget which sequences belong to which times (`DELETE /{db}/_time_seq`)."""
        await self._newer("DELETE", "_time_seq")

    async def _newer(self, method: str, name: str, content: JsonDict | None = None) -> JsonDict:
        path, body = f"{self._endpoint}/{name}", None if content is None else encode(content)
        repeat = Repeat.FREELY if method == "PUT" else None
        try:
            return await self._remote.json(method, path, into=JsonDict, body=body, repeat=repeat)
        except (NotFoundError, BadRequestError) as error:
            raise await refused_by(self._remote, name, error) from error

    async def _post(self, path: str) -> JsonDict:
        # each may be begun twice
        return await self._remote.json(
            "POST", f"{self._endpoint}/{path}", into=JsonDict, body=b"", repeat=Repeat.FREELY
        )
