"""What hangs from a database: topics that are made without a request."""

from aiocouch._hints import complete as _complete
from aiocouch.topics.functions import DesignFunctions
from aiocouch.topics.indexes import Indexes
from aiocouch.topics.local import LocalDocuments
from aiocouch.topics.maintenance import Maintenance
from aiocouch.topics.partition import Partition
from aiocouch.topics.revisions import Revisions
from aiocouch.topics.search import SearchIndex, SearchPage

__all__ = [
    "DesignFunctions",
    "Indexes",
    "LocalDocuments",
    "Maintenance",
    "Partition",
    "Revisions",
    "SearchIndex",
    "SearchPage",
]

_complete("aiocouch")
