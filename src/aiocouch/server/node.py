"""One node of a cluster, and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, overload

from aiocouch._wire.codec import encode
from aiocouch._wire.ids import quote_name
from aiocouch.exception import InvalidInputError, InvalidTypeError, NotFoundError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from aiocouch.answers import NodeSystem, NodeVersions, SmooshStatus
    from aiocouch.remote import HTTPResponse, Remote

__all__ = ["Configuration", "Node"]


class Node:
    """One node, by its name (`/_node/{node}`); `_local` is the one that answers.

    Only server admins may ask; others get `UnauthorizedError` or `ForbiddenError`. A node that the
    cluster does not have raises `NotFoundError`.
    """

    def __init__(self, remote: Remote, id: str = "_local") -> None:
        self.id = id
        self._remote = remote
        self._endpoint = f"/_node/{quote_name(id, 'name of the node')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}>"

    @property
    def config(self) -> Configuration:
        """Return its configuration. Sends no request."""
        return Configuration(self._remote, f"{self._endpoint}/_config")

    async def name(self) -> str:
        """Return the full name, such as `couchdb@127.0.0.1` (`GET /_node/{node}`)."""
        found = await self._remote.json("GET", self._endpoint, into=JsonDict)
        # CouchDB tells it of _local only; of another node this is its greeting
        return str(found.get("name", self.id))

    async def stats(self, *path: str) -> JsonDict:
        """Return what it has counted (`GET /_node/{node}/_stats/…`).

        `path` leads to a group or to one counter: `stats("couchdb", "open_databases")`.
        """
        return await self._get("_stats", *path)

    async def system(self) -> NodeSystem:
        """Return memory, processes and queues of the Erlang VM (`GET /_node/{node}/_system`)."""
        return cast("NodeSystem", await self._get("_system"))

    async def versions(self) -> NodeVersions:
        """Return the versions of JavaScript engine, Erlang and libraries (`GET /_node/{node}/_versions`)."""
        return cast("NodeVersions", await self._get("_versions"))

    async def smoosh(self) -> SmooshStatus:
        """Return what waits for its automatic compaction (`GET /_node/{node}/_smoosh/status`)."""
        return cast("SmooshStatus", await self._get("_smoosh", "status"))

    async def prometheus(self) -> str:
        """Return all figures in the text format of Prometheus (`GET /_node/{node}/_prometheus`)."""
        return (await self.request("GET", "_prometheus")).body.decode()

    async def restart(self) -> None:
        """Restart CouchDB on the node, which drops all connections (`POST /_node/{node}/_restart`)."""
        await self._remote.json("POST", f"{self._endpoint}/_restart", into=JsonDict, body=b"")

    async def request(self, method: str, *path: str, body: bytes | None = None) -> HTTPResponse:
        """Send a request to the node itself, past the cluster (`/_node/{node}/…`).

        `path` are its segments, such as `"_all_dbs"`: the shards then, not the databases.
        """
        below = "/".join(quote_name(segment, "segment of the path") for segment in path)
        return await self._remote.request(method, f"{self._endpoint}/{below}", body=body)

    async def _get(self, *path: str) -> JsonDict:
        return (await self.request("GET", *path)).json(JsonDict)


class Configuration:
    """The settings of a node (`/_node/{node}/_config`): sections of keys, all of them text.

    What is set is kept in a file of the node, unless `persist` is False.
    """

    def __init__(self, remote: Remote, endpoint: str) -> None:
        self._remote = remote
        self._endpoint = endpoint

    async def all(self) -> dict[str, dict[str, str]]:
        """Return all settings by section (`GET /_node/{node}/_config`)."""
        return await self._remote.json("GET", self._endpoint, into=dict[str, dict[str, str]])

    @overload
    async def __getitem__(self, key: str) -> dict[str, str]: ...
    @overload
    async def __getitem__(self, key: tuple[str, str]) -> str: ...
    async def __getitem__(self, key: str | tuple[str, str]) -> dict[str, str] | str:
        """Return a section, as `section`, or a setting: `await config["log", "level"]`.

        Raise `NotFoundError` for a setting that is not set.
        """
        if isinstance(key, str):
            return await self.section(key)
        return await self._remote.json("GET", self._path(*key), into=str)

    async def section(self, section: str) -> dict[str, str]:
        """Return the settings of a section, empty if there are none (`GET …/_config/{section}`)."""
        return await self._remote.json("GET", self._path(section), into=dict[str, str])

    async def get(self, section: str, key: str, default: str | None = None) -> str | None:
        """Return a setting, or `default` if it is not set (`GET …/_config/{section}/{key}`)."""
        try:
            return await self[section, key]
        except NotFoundError as error:
            if error.reason != "unknown_config_value":
                raise
            return default

    async def set(self, section: str, key: str, value: str, *, persist: bool = True) -> str:
        """Set a setting, and return what it was, "" if nothing (`PUT …/_config/{section}/{key}`).

        Raise `InvalidTypeError` for a value that is not text, since CouchDB takes no other;
        `ForbiddenError` for the few that must not be changed over HTTP.
        """
        if not isinstance(value, str):
            raise InvalidTypeError(f"the value must be a str, not {type(value).__name__}")
        return await self._change("PUT", section, key, encode(value), persist)

    async def delete(self, section: str, key: str, *, persist: bool = True) -> str:
        """Remove a setting, and return what it was (`DELETE …/_config/{section}/{key}`).

        Its default comes back into force. Raise `NotFoundError` when it was not set.
        """
        return await self._change("DELETE", section, key, None, persist)

    async def reload(self) -> None:
        """Read the files again (`POST …/_config/_reload`)."""
        await self._remote.json("POST", f"{self._endpoint}/_reload", into=JsonDict, body=b"")

    async def _change(
        self, method: str, section: str, key: str, body: bytes | None, persist: bool
    ) -> str:
        headers = None if persist else {"X-Couch-Persist": "false"}
        path = self._path(section, key)
        return await self._remote.json(method, path, into=str, body=body, headers=headers)

    def _path(self, section: str, key: str | None = None) -> str:
        path = f"{self._endpoint}/{quote_name(section, 'section')}"
        if section.startswith("_"):  # such as _reload, which is not a section
            raise InvalidInputError(f"{section!r} is not the name of a section")
        return path if key is None else f"{path}/{quote_name(key, 'key')}"
