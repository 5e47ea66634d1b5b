"""Which revisions a database has, and how many it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import encode, strings
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.topics.answers import Difference, Missing, PurgedInfos
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch.answers import PurgedDocument
    from aiocouch.remote import Remote

__all__ = ["Revisions"]

T = TypeVar("T")


class Revisions:
    """The revisions of a database: those that it lacks, has purged, and keeps the ids of."""

    def __init__(self, remote: Remote, endpoint: str) -> None:
        self._remote = remote
        self._endpoint = endpoint

    async def diff(self, revs: Mapping[str, Iterable[str]]) -> dict[str, Difference]:
        """Return what the database lacks of these revisions by document id (`POST /{db}/_revs_diff`).

        A document of which it has all is left out.
        """
        return await self._ask("_revs_diff", revs, dict[str, Difference])

    async def missing(self, revs: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
        """Return the revisions that the database lacks, as `diff` (`POST /{db}/_missing_revs`)."""
        return (await self._ask("_missing_revs", revs, Missing)).missing_revs

    async def limit(self) -> int:
        """Return how many revision ids of a document are kept (`GET /{db}/_revs_limit`)."""
        return await self._number("_revs_limit")

    async def set_limit(self, limit: int) -> None:
        """Set how many revision ids of a document are kept (`PUT /{db}/_revs_limit`).

        Few of them make false conflicts when databases replicate that have not met for long.
        """
        await self._set_number("_revs_limit", limit)

    async def purged(self) -> list[PurgedDocument]:
        """Return what was purged last: `id` and `revs` each (`GET /{db}/_purged_infos`)."""
        path = f"{self._endpoint}/_purged_infos"
        found = await self._remote.json("GET", path, into=PurgedInfos)
        return cast("list[PurgedDocument]", found.purged_infos)

    async def purged_limit(self) -> int:
        """Return how many purges are remembered (`GET /{db}/_purged_infos_limit`)."""
        return await self._number("_purged_infos_limit")

    async def set_purged_limit(self, limit: int) -> None:
        """Set how many purges are remembered (`PUT /{db}/_purged_infos_limit`)."""
        await self._set_number("_purged_infos_limit", limit)

    async def _ask(self, path: str, revs: Mapping[str, Iterable[str]], into: type[T]) -> T:
        if not isinstance(revs, Mapping):
            raise InvalidTypeError("the revisions must be a dict of lists by document id")
        body = encode({id: strings(of, f"the revisions of {id!r}") for id, of in revs.items()})
        return await self._remote.json(
            "POST", f"{self._endpoint}/{path}", into=into, body=body, repeat=Repeat.FREELY
        )

    async def _number(self, path: str) -> int:
        return await self._remote.json("GET", f"{self._endpoint}/{path}", into=int)

    async def _set_number(self, path: str, number: int) -> None:
        if type(number) is not int or number < 1:
            raise InvalidInputError(f"the limit must be an int above 0, not {number!r}")
        await self._remote.json(
            "PUT",
            f"{self._endpoint}/{path}",
            into=JsonDict,
            body=encode(number),
            repeat=Repeat.FREELY,
        )
