"""Every public path of aiocouch 3.0.0 and 4.0.1 can be imported."""

import importlib
import inspect

import pytest

import aiocouch

PATHS = [
    "aiocouch.CouchDB",
    "aiocouch.Database",
    "aiocouch.Document",
    "aiocouch.View",
    "aiocouch.HTTPResponse",
    "aiocouch.BadRequestError",
    "aiocouch.UnauthorizedError",
    "aiocouch.ForbiddenError",
    "aiocouch.NotFoundError",
    "aiocouch.ConflictError",
    "aiocouch.PreconditionFailedError",
    "aiocouch.UnsupportedMediaTypeError",
    "aiocouch.ExpectationFailedError",
    "aiocouch.couchdb.CouchDB",
    "aiocouch.database.Database",
    "aiocouch.document.Document",
    "aiocouch.document.SecurityDocument",
    "aiocouch.design_document.DesignDocument",
    "aiocouch.attachment.Attachment",
    "aiocouch.bulk.BulkOperation",
    "aiocouch.bulk.BulkCreateOperation",
    "aiocouch.bulk.BulkUpdateOperation",
    "aiocouch.event.BaseChangeEvent",
    "aiocouch.event.ChangedEvent",
    "aiocouch.event.DeletedEvent",
    "aiocouch.view.View",
    "aiocouch.view.AllDocsView",
    "aiocouch.view.ViewResponse",
    "aiocouch.remote.HTTPResponse",
    "aiocouch.exception.BadRequestError",
    "aiocouch.exception.UnauthorizedError",
    "aiocouch.exception.ForbiddenError",
    "aiocouch.exception.NotFoundError",
    "aiocouch.exception.ConflictError",
    "aiocouch.exception.PreconditionFailedError",
    "aiocouch.exception.UnsupportedMediaTypeError",
    "aiocouch.exception.ExpectationFailedError",
    "aiocouch.exception.RemoteResponseError",
]

SAME = [
    ("aiocouch.CouchDB", "aiocouch.couchdb.CouchDB"),
    ("aiocouch.Database", "aiocouch.database.Database"),
    ("aiocouch.Document", "aiocouch.document.Document"),
    ("aiocouch.View", "aiocouch.view.View"),
    ("aiocouch.HTTPResponse", "aiocouch.remote.HTTPResponse"),
    ("aiocouch.NotFoundError", "aiocouch.exception.NotFoundError"),
    ("aiocouch.ConflictError", "aiocouch.exception.ConflictError"),
]

MEMBERS = {
    "aiocouch.CouchDB": (
        "check_credentials close create keys info __getitem__ __aenter__ __aexit__"
    ),
    "aiocouch.Database": (
        "akeys create delete docs values all_docs view design_doc find index update_docs "
        "create_docs get security info changes endpoint __getitem__ purge bulk_get bulk_docs"
    ),
    "aiocouch.Document": (
        "fetch save delete copy rev data json exists info fetch_info conflicts revs attachment "
        "update items keys values get setdefault pop __len__ __iter__ __getitem__ __setitem__ "
        "__delitem__ __contains__ __aenter__ __aexit__"
    ),
    "aiocouch.document.SecurityDocument": (
        "members member_roles admins admin_roles add_member remove_member add_member_role "
        "remove_member_role add_admin remove_admin add_admin_role remove_admin_role save fetch "
        "exists json data __aenter__ __aexit__"
    ),
    "aiocouch.design_document.DesignDocument": "view create_view fetch save delete",
    "aiocouch.attachment.Attachment": "exists fetch save delete",
    "aiocouch.View": "get post akeys aitems avalues ids docs prefix_sentinel",
    "aiocouch.view.AllDocsView": "get post akeys aitems avalues ids docs prefix_sentinel",
    "aiocouch.view.ViewResponse": "keys values items docs",
    "aiocouch.bulk.BulkOperation": (
        "append create update status __aiter__ __iter__ __aenter__ __aexit__"
    ),
    "aiocouch.bulk.BulkCreateOperation": "append create update __aiter__ __iter__",
    "aiocouch.bulk.BulkUpdateOperation": "append create update __aiter__ __iter__",
    "aiocouch.event.BaseChangeEvent": "id rev sequence",
    "aiocouch.event.ChangedEvent": "id rev sequence doc",
    "aiocouch.event.DeletedEvent": "id rev sequence",
    "aiocouch.HTTPResponse": "etag",
}


def resolve(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", PATHS)
def test_public_path_exists(path: str) -> None:
    assert inspect.isclass(resolve(path))


@pytest.mark.parametrize(("short", "long"), SAME)
def test_both_paths_are_one_class(short: str, long: str) -> None:
    assert resolve(short) is resolve(long)


@pytest.mark.parametrize(
    ("path", "member"), [(path, name) for path, names in MEMBERS.items() for name in names.split()]
)
def test_member_exists(path: str, member: str) -> None:
    assert hasattr(resolve(path), member)


def test_all_names_what_can_be_imported_and_no_private_name() -> None:
    assert len(set(aiocouch.__all__)) == len(aiocouch.__all__)
    for name in aiocouch.__all__:
        assert hasattr(aiocouch, name)
        assert not name.startswith("_") or name == "__version__"


def test_all_contains_the_names_of_the_docs() -> None:
    short = {path.split(".")[1] for path in PATHS if path.count(".") == 1}
    assert short <= set(aiocouch.__all__)


def test_star_import_brings_the_documented_names() -> None:
    space: dict[str, object] = {}
    exec("from aiocouch import *", space)
    assert {"CouchDB", "Database", "Document", "View", "NotFoundError"} <= space.keys()


def test_design_document_is_a_document() -> None:
    document = resolve("aiocouch.Document")
    assert isinstance(document, type)
    for path in ("aiocouch.design_document.DesignDocument", "aiocouch.document.SecurityDocument"):
        child = resolve(path)
        assert isinstance(child, type)
        assert issubclass(child, document)


def test_all_docs_view_is_a_view_and_bulks_and_events_share_their_base() -> None:
    from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
    from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
    from aiocouch.view import AllDocsView, View

    assert issubclass(AllDocsView, View)
    assert issubclass(BulkCreateOperation, BulkOperation)
    assert issubclass(BulkUpdateOperation, BulkOperation)
    assert issubclass(ChangedEvent, BaseChangeEvent)
    assert issubclass(DeletedEvent, BaseChangeEvent)


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_public_class_has_a_docstring(path: str) -> None:
    assert inspect.getdoc(resolve(path))


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (path, name)
        for path, names in MEMBERS.items()
        for name in names.split()
        if not name.startswith("__")
    ],
)
def test_public_member_has_a_docstring(path: str, member: str) -> None:
    assert inspect.getdoc(inspect.getattr_static(resolve(path), member))


def test_the_package_is_marked_as_typed() -> None:
    from importlib.resources import files

    assert files("aiocouch").joinpath("py.typed").is_file()
