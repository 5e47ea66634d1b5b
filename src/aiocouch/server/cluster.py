"""The nodes of a cluster, and how it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from aiocouch._wire.codec import encode, strings
from aiocouch._wire.options import checked, with_query
from aiocouch.server.answers import State
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from aiocouch.answers import Membership
    from aiocouch.remote import Remote

__all__ = ["Cluster", "SetupOptions"]


class SetupOptions(TypedDict, total=False):
    """Members of the body of `POST /_cluster_setup`, beside `action`."""

    bind_address: str | None
    username: str | None
    password: str | None
    port: int | None
    node_count: int | None
    remote_node: str | None
    remote_current_user: str | None
    remote_current_password: str | None
    ensure_dbs_exist: Sequence[str] | None
    host: str | None
    name: str | None
    singlenode: bool | None
    extra: dict[str, Any] | None


_SETUP = frozenset(SetupOptions.__annotations__)


class Cluster:
    """The cluster that a server belongs to, be it of one node."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def membership(self) -> Membership:
        """Return `all_nodes`, which it can reach, and `cluster_nodes`, which belong to it.

        `GET /_membership`.
        """
        found = await self._remote.json("GET", "/_membership", into=dict[str, list[str]])
        return cast("Membership", found)

    async def state(self, ensure_dbs_exist: Sequence[str] | None = None) -> str:
        """Return how far it is set up, such as `single_node_enabled` (`GET /_cluster_setup`).

        `ensure_dbs_exist` are the system databases that must be there for it to be finished.
        """
        _check_names(ensure_dbs_exist)
        path = with_query("/_cluster_setup", {"ensure_dbs_exist": ensure_dbs_exist})
        return (await self._remote.json("GET", path, into=State)).state

    async def enable_single_node(self, **options: Unpack[SetupOptions]) -> None:
        """Make a server of its own of the node, with its system databases.

        `POST /_cluster_setup`; `bind_address`, `port`, `username` and `password` may be given.
        """
        await self._set_up("enable_single_node", options)

    async def enable(self, **options: Unpack[SetupOptions]) -> None:
        """Prepare a node for a cluster (`POST /_cluster_setup`, `enable_cluster`).

        With `remote_node` (and `remote_current_user`, `remote_current_password`) another one.
        """
        await self._set_up("enable_cluster", options)

    async def add_node(self, **options: Unpack[SetupOptions]) -> None:
        """Add a node, by its `host`, `port`, `username` and `password` (`POST /_cluster_setup`)."""
        await self._set_up("add_node", options)

    async def finish(self, **options: Unpack[SetupOptions]) -> None:
        """Create the system databases, and be finished (`POST /_cluster_setup`, `finish_cluster`)."""
        await self._set_up("finish_cluster", options)

    async def _set_up(self, action: str, options: SetupOptions) -> None:
        _check_names(options.get("ensure_dbs_exist"))
        body = encode({"action": action, **checked(options, _SETUP)})
        await self._remote.json("POST", "/_cluster_setup", into=JsonDict, body=body)


def _check_names(names: Sequence[str] | None) -> None:
    if names is not None:
        strings(names, "ensure_dbs_exist")
