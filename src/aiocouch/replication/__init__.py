"""Replication by this program: `await source.replicate_to(target)`, `await database.sync(other)`.

`Replication` is one, `Sync` one in each direction, `RemoteEndpoint` an end that a CouchDB has. The engine
knows its ends by the protocol `Endpoint` only.
"""

from aiocouch._hints import complete as _complete
from aiocouch.replication.endpoint import Refused
from aiocouch.replication.replication import (
    Replication,
    ReplicationOptions,
    ReplicationProgress,
    ReplicationResult,
)
from aiocouch.replication.session import CheckpointError
from aiocouch.replication.sync import Sync, SyncOptions, SyncProgress, SyncResult

__all__ = [
    "CheckpointError",
    "Refused",
    "Replication",
    "ReplicationOptions",
    "ReplicationProgress",
    "ReplicationResult",
    "Sync",
    "SyncOptions",
    "SyncProgress",
    "SyncResult",
]

_complete("aiocouch")
