"""Help for the tests of programs that use CouchDB.

- :class:`BackgroundCouchDB`: an embedded server on a thread of its own;
- :class:`CouchDBServer`: where a server is, and who may enter;
- :func:`assert_uses_index`: that a query is answered by an index;
- :class:`Faults`: a proxy that breaks chosen requests in chosen ways;
- ``aiocouch.testing.plugin``: the pytest plugin, which pytest finds by itself.
"""

from aiocouch._hints import complete as _complete
from aiocouch.testing.faults import Faults, Rule, SeenRequest
from aiocouch.testing.queries import assert_uses_index
from aiocouch.testing.server import BackgroundCouchDB, CouchDBServer

__all__ = [
    "BackgroundCouchDB",
    "CouchDBServer",
    "Faults",
    "Rule",
    "SeenRequest",
    "assert_uses_index",
]

_complete("aiocouch.testing", "aiocouch.couchdb", "aiocouch.finding")
