"""What a server has beside its databases: topics that hang from `CouchDB`, made without a request."""

from aiocouch._hints import complete as _complete
from aiocouch.server.cluster import Cluster
from aiocouch.server.node import Configuration, Node
from aiocouch.server.replications import Replications
from aiocouch.server.reshard import Reshard
from aiocouch.server.session import Session
from aiocouch.server.users import Users

__all__ = ["Cluster", "Configuration", "Node", "Replications", "Reshard", "Session", "Users"]

_complete("aiocouch")
