"""Help for the tests of programs that use CouchDB.

- :class:`BackgroundCouchDB`: an embedded server on a thread of its own;
- :class:`CouchDBServer`: where a server is, and who may enter;
- :class:`Faults`: a proxy that breaks chosen requests in chosen ways;
- ``aiocouch.testing.plugin``: the pytest plugin, which pytest finds by itself.
"""

from aiocouch._hints import complete as _complete
from aiocouch.testing.faults import Faults, Rule, SeenRequest
from aiocouch.testing.server import BackgroundCouchDB, CouchDBServer

__all__ = ["BackgroundCouchDB", "CouchDBServer", "Faults", "Rule", "SeenRequest"]

_complete("aiocouch.testing", "aiocouch.couchdb")
