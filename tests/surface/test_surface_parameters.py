"""Every parameter of aiocouch 3.0.0 and 4.0.1 is one of ours, under its name and in its place.

A name that ends up in `**kwargs` is not refused but means something else, which is worse.
"""

import importlib
import inspect
from typing import Any

import pytest

# By class and method: the parameters that 3.0.0 took by position, in their order, then those by keyword.
PARAMETERS = """
couchdb.CouchDB.__init__                server user password cookie
couchdb.CouchDB.__getitem__             id
couchdb.CouchDB.create                  id exists_ok
couchdb.CouchDB.check_credentials
couchdb.CouchDB.close
couchdb.CouchDB.info
couchdb.CouchDB.keys
database.Database.__init__              couchdb id
database.Database.__getitem__           id
database.Database.create                id exists_ok data
database.Database.create_docs           ids
database.Database.update_docs           ids create
database.Database.delete
database.Database.design_doc            id exists_ok
database.Database.docs                  ids create prefix include_ddocs
database.Database.find                  selector limit
database.Database.get                   id default * rev
database.Database.index                 index
database.Database.info
database.Database.security
database.Database.changes               last_event_id
database.Database.akeys                 * ids prefix
database.Database.values                * ids create prefix include_ddocs
database.Database.view                  design_doc view
document.Document.__init__              database id data
document.Document.attachment            id
document.Document.conflicts
document.Document.copy                  new_id
document.Document.delete                discard_changes
document.Document.fetch                 discard_changes * rev
document.Document.fetch_info
document.Document.get                   key default
document.Document.info
document.Document.revs
document.Document.save
document.Document.setdefault            key default
document.Document.update                data
document.Document.__getitem__           key
document.Document.__contains__          key
document.SecurityDocument.__init__      database * data
document.SecurityDocument.add_admin           admin
document.SecurityDocument.add_admin_role      role
document.SecurityDocument.add_member          member
document.SecurityDocument.add_member_role     role
document.SecurityDocument.remove_admin        admin
document.SecurityDocument.remove_admin_role   role
document.SecurityDocument.remove_member       member
document.SecurityDocument.remove_member_role  role
document.SecurityDocument.save
design_document.DesignDocument.__init__       database id data
design_document.DesignDocument.create_view    view map_function reduce_function exists_ok
design_document.DesignDocument.view           view
attachment.Attachment.__init__          document id
attachment.Attachment.delete
attachment.Attachment.exists
attachment.Attachment.fetch
attachment.Attachment.save              data content_type
view.View.__init__                      database design_doc id
view.View.get
view.View.post                          keys * ids
view.View.akeys                         * ids prefix
view.View.aitems                        * prefix
view.View.avalues                       * prefix
view.View.ids                           ids prefix
view.View.docs                          ids create prefix include_ddocs
view.AllDocsView.__init__               database
view.ViewResponse.docs                  create include_ddocs
view.ViewResponse.keys
view.ViewResponse.values
view.ViewResponse.items
bulk.BulkOperation.__init__             database
bulk.BulkOperation.append               doc
bulk.BulkOperation.create               id data
bulk.BulkOperation.update               doc
bulk.BulkCreateOperation.__init__       database ids
bulk.BulkUpdateOperation.__init__       database ids create
event.BaseChangeEvent.__init__          json
event.DeletedEvent.__init__             json
event.ChangedEvent.__init__             json database
event.ChangedEvent.doc
remote.HTTPResponse.__init__            resp
remote.RemoteServer._get                path params
remote.RemoteServer._head               path params
remote.RemoteServer._put                path data params
remote.RemoteServer._post               path data params
remote.RemoteServer._delete             path params
remote.RemoteServer._get_bytes          path params
remote.RemoteServer._put_bytes          path data content_type params
remote.RemoteServer._request            method path params return_json
remote.RemoteServer._streamed_request   method path params
database.Database._bulk_docs            docs
database.Database._bulk_get             docs
database.Database._find                 selector
database.Database._index                index
database.Database._purge                docs
database.Database._put_security         doc
document.Document._copy                 destination
document.Document._delete               rev
document.Document._put                  data
attachment.Attachment._delete           rev
attachment.Attachment._put              rev data content_type
view.View._post                         keys
exception.raises                        status message exception_type
exception.generator_raises              status message exception_type
request.FindRequest.__init__            database selector limit
""".strip().splitlines()

# What stands behind `**params` is passed on as it is to a method that has the parameter.
PASSED_ON = {
    "database.Database.akeys": "view.View.ids",
    "database.Database.values": "view.View.docs",
    "view.View.akeys": "view.View.ids",
    "view.View.avalues": "view.View.aitems",
}


def found(path: str) -> Any:
    module, _, names = path.partition(".")
    thing: Any = importlib.import_module(f"aiocouch.{module}")
    for name in names.split("."):
        thing = getattr(thing, name)
    return thing


def parameters(path: str) -> list[inspect.Parameter]:
    """The parameters that a caller gives."""
    owner, _, name = path.rpartition(".")
    if name == "__init__":
        return list(inspect.signature(found(owner)).parameters.values())
    every = list(inspect.signature(found(path)).parameters.values())
    return every[1:] if owner.count(".") else every


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("line", PARAMETERS)
def test_parameters(line: str) -> None:
    path, *wanted = line.split()
    by_position, _, by_keyword = " ".join(wanted).partition("*")
    ours = parameters(path)
    places = [one.name for one in ours if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert places[: len(by_position.split())] == by_position.split()
    names = {one.name for one in ours if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}}
    missing = set(by_keyword.split()) - names
    if missing:
        behind = {one.name for one in parameters(PASSED_ON[path])}
        assert missing <= behind


def public_methods() -> set[str]:
    """All methods of the classes above that can be called."""
    owners = {line.split()[0].rpartition(".")[0] for line in PARAMETERS}
    return {
        f"{path}.{name}"
        for path in owners
        if "." in path
        for one in (found(path), *shared_bases(path))
        for name, member in vars(one).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


_SHARED = ("aiocouch.finding", "aiocouch.in_bulk")


def shared_bases(path: str) -> list[type]:
    """The classes that have methods of a class which another one has, too."""
    return [one for one in found(path).__mro__ if one.__module__ in _SHARED]


# Those that neither 3.0.0 nor 4.0.1 had.
NEWER = """
database.Database.collection
database.Database.follow couchdb.CouchDB.follow_updates
database.Database.replicate_to
database.Database.sync
database.Database.find_values database.Database.find_pages
view.View.page view.View.pages
database.Database.document database.Database.bulk_get_rows
database.Database.add database.Database.explain database.Database.partition view.View.queries
database.Database.functions database.Database.search
couchdb.CouchDB.active_tasks couchdb.CouchDB.analyze couchdb.CouchDB.database
couchdb.CouchDB.db_updates couchdb.CouchDB.dbs_info couchdb.CouchDB.node couchdb.CouchDB.reload_query_servers
couchdb.CouchDB.request couchdb.CouchDB.up couchdb.CouchDB.uuids
attachment.Attachment.stream database.Database.batched database.Database.bulk
database.Database.bulk_docs database.Database.bulk_get database.Database.purge
document.Document.items document.Document.keys
document.Document.values document.SecurityDocument.delete
database.Database.update database.Database.update_many database.Database.upsert
database.Database.conflicts database.Database.leaves database.Database.resolve
document.Document.leaves document.Document.open_revs
document.Document.save_with document.Document.fetch_with_attachments
document.SecurityDocument.save_with
database.Database.upsert_many database.Database.write remote.HTTPResponse.json
view.View.row_keys view.View.rows
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_public_method_is_left_out() -> None:
    listed = {line.split()[0] for line in PARAMETERS}
    assert public_methods() - listed == set(NEWER.split())
