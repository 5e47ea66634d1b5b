"""What hangs from a database: topics that are made without a request."""

from aiocouch.topics.indexes import Indexes
from aiocouch.topics.local import LocalDocuments
from aiocouch.topics.maintenance import Maintenance
from aiocouch.topics.revisions import Revisions

__all__ = ["Indexes", "LocalDocuments", "Maintenance", "Revisions"]
