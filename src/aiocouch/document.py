"""Documents: data that know whether they have been saved (see `_tracked`)."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import (
    AsyncGenerator,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    ValuesView,
)
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeAlias

import msgspec

from aiocouch._tracked import (
    ACCEPTED,
    NEVER_SEEN,
    Snapshot,
    Tracked,
    Written,
    accepted,
    of_text,
    saved,
    sent_off,
    to_send,
)
from aiocouch._transport.later import of_deletion, of_document
from aiocouch._wire.codec import listed
from aiocouch._wire.ids import check_document_id, quote_document_id
from aiocouch._wire.options import DOCUMENT, checked, with_query
from aiocouch.attachment import Attachment
from aiocouch.exception import (
    Facts,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from aiocouch.attachment import Content
    from aiocouch.conflicts import Leaves
    from aiocouch.database import Database
    from aiocouch.remote import HTTPResponse, Remote
    from aiocouch.typing import DocumentOptions, JsonDict

__all__ = ["Document", "SecurityDocument"]

SupportsUpdate: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]


class _Revision(msgspec.Struct):
    rev: str


class _Revisions(msgspec.Struct, rename=lambda name: f"_{name}"):
    id: str
    conflicts: list[str] = []
    revs_info: list[_Revision] = []


class _Open(msgspec.Struct):
    ok: msgspec.Raw = msgspec.Raw(b"")


class _Done(msgspec.Struct):
    ok: bool


class Document(Tracked, MutableMapping[str, Any]):
    """The local representation of a document: a dict of its content that can be fetched and saved.

    `data` is the initial content; it is copied, and an `_id` in it is replaced by `id`. Building a
    document sends no request. Two documents are equal only when they are the same object.

    Used as an async context manager it is fetched on entry, if it exists, and saved on exit, unless
    an exception leaves the block. What is fetched takes the place of unsaved changes.

    Raises `InvalidTypeError` (a TypeError) when `data` is not a mapping, or another document.
    """

    __slots__ = ()

    def __init__(self, database: Database, id: str, data: Mapping[str, Any] | None = None) -> None:
        check_document_id(id)
        self.database = database
        self.id = id
        self._snapshot = NEVER_SEEN
        if type(data) is dict and data.get("_id") == id:
            self._content = dict(data)
        else:
            self._content = self._begun(data)

    def _begun(self, data: Mapping[str, Any] | None) -> JsonDict:
        id = self.full_id
        content = {"_id": id, **_mapping(data)}
        content["_id"] = id
        return content

    # -- what it is -------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """The path of the document."""
        return f"{self.database.endpoint}/{quote_document_id(self.full_id)}"

    @property
    def remote(self) -> Remote:
        """The server of the document."""
        return self.database.remote

    @property
    def exists(self) -> bool:
        """Whether it was fetched or saved, and is not deleted. Sends no request."""
        data = self._loaded()
        return "_rev" in data and not data.get("_deleted")

    @property
    def data(self) -> JsonDict | None:
        """The content with `_id` and `_rev`, the dict itself; None if it does not exist."""
        return self._loaded() if self.exists else None

    @property
    def json(self) -> JsonDict:
        """The content without the members that belong to CouchDB; empty if it does not exist."""
        if not self.exists:
            return {}
        return {name: value for name, value in self._loaded().items() if not name.startswith("_")}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of database {self.database.id!r}>"

    def __str__(self) -> str:
        """Return the content as indented JSON, cut where it is long, with passwords hidden."""
        try:
            from aiocouch._wire.shown import shown

            return shown(self._loaded())
        except UnexpectedAnswerError:
            return repr(self)

    # -- requests ---------------------------------------------------------------------------------

    async def fetch(
        self,
        discard_changes: bool = False,
        *,
        rev: str | None = None,
        **options: Unpack[DocumentOptions],
    ) -> None:
        """Get the content from the server (`GET /{db}/{docid}`).

        Raise `ConflictError` when local changes would be lost, unless `discard_changes`;
        `NotFoundError`; `BadRequestError` for a malformed `rev`. The document is then as it was.
        """
        if not discard_changes:
            self._refuse_dirty()
        path = self.endpoint
        if rev is not None or options:
            if (since := options.get("atts_since")) is not None:
                options["atts_since"] = listed(since, "atts_since")
            path = with_query(path, checked({"rev": rev, **options}, DOCUMENT))
        elif self.database.batch is not None:
            self._take_text(await self.database.batch.read(self.full_id))
            return
        response = await self.database.remote.request("GET", path)
        if not response.body.startswith(b"{"):
            response.json()
        self._take_text(response.body)

    async def save(self, *, w: int | None = None, batch: bool = False) -> HTTPResponse | None:
        """Store the document (`PUT /{db}/{docid}`), if it is new or was changed; else return None.

        `w` is how many copies in a cluster must have it, instead of most of them; if they do not, it is
        stored all the same, and the status is 202 (see `accepted_only`). With `batch` the server answers 202
        before it stores the document, and nobody hears of a conflict; fetch it before it is changed again,
        for its revision is not known. Raise `ConflictError` when the server has another revision,
        `InvalidInputError` or `InvalidTypeError` (before anything is sent) for content that JSON cannot hold.
        """
        sent = to_send(self)
        if sent is None:
            return None
        path = self.endpoint
        settle = None if batch else of_document(path, sent)  # it may not be there yet
        if w is not None or batch:
            path = with_query(path, {"w": w, "batch": "ok" if batch else None})
        response = await self.database.remote.request("PUT", path, body=sent, settle=settle)
        if batch and response.status == ACCEPTED:
            sent_off(self, sent)
            return response
        saved(self, sent, response.json(Written).rev)
        if response.status == ACCEPTED:
            accepted(self)
        return response

    async def save_with(
        self, attachments: Mapping[str, tuple[Content, str]], *, w: int | None = None
    ) -> HTTPResponse:
        """Store the document, changed or not, and attachments in one request (`PUT /{db}/{docid}`).

        `attachments` are contents and content types by name: `{"a.png": (Path("a.png"), "image/png")}`. Other
        attachments of the document stay. Contents are streamed; files and iterators are read first, into a
        temporary file where they are large, because their length must be known. Errors and `w` as `save`.
        """
        from aiocouch._related import save_related

        return await save_related(self, attachments, w)

    def fetch_with_attachments(
        self,
        discard_changes: bool = False,
        *,
        rev: str | None = None,
        atts_since: Iterable[str] | None = None,
    ) -> AsyncGenerator[tuple[Attachment, AsyncGenerator[bytes, None]], None]:
        """Get the content, and yield all attachments, by one request (`GET /{db}/{docid}`).

        Of the revision `rev`, or as it is now; with `atts_since` only what was attached since these
        revisions. Each attachment comes with its content, as it arrives; what is not read is skipped.
        Raise as `fetch`, `DigestError` for a content that is not what was stored, `TruncatedError` when
        it breaks off. The document has its new content before the first attachment.
        """
        if not discard_changes:
            self._refuse_dirty()
        from aiocouch._related import read_related

        since = None if atts_since is None else listed(atts_since, "atts_since")
        return read_related(self, {"rev": rev, "atts_since": since})

    async def delete(self, discard_changes: bool = False, *, w: int | None = None) -> HTTPResponse:
        """Delete the document (`DELETE /{db}/{docid}`). A tombstone stays; see `Database.purge`.

        `w` is as for `save`. The local content is gone afterwards; fill it and `save` to create the
        document anew. Raise `ConflictError` when there are local changes, unless `discard_changes`, or
        when the server has another revision.
        """
        if not discard_changes and self.is_dirty():
            raise self._unsaved()
        if self.rev is None:
            raise NotFoundError(
                f"{self!r} was neither fetched nor saved: there is nothing to delete"
            )
        path = self.endpoint
        settle = of_deletion(path, self.full_id, self.rev)
        path = with_query(path, {"rev": self.rev, "w": w})
        response = await self.database.remote.request("DELETE", path, settle=settle)
        response.json(Written)
        self._content, self._snapshot = {}, Snapshot(b"{}", None)
        if response.status == ACCEPTED:
            accepted(self)
        return response

    async def copy(
        self, new_id: str, *, rev: str | None = None, source_rev: str | None = None
    ) -> HTTPResponse:
        """Copy what the server has to `new_id` (`COPY /{db}/{docid}`), with its attachments.

        `rev` is the revision of the target where it exists, `source_rev` the one that is copied, instead of
        the newest. The new revision is the `etag`. Raise `ConflictError` when the target has another one.
        """
        from aiocouch._transport.settle import Copy

        path, target = with_query(self.endpoint, {"rev": source_rev}), quote_document_id(new_id)
        settle = Copy(path, f"{self.database.endpoint}/{target}", new_id, rev)
        headers = {"Destination": with_query(target, {"rev": rev})}
        remote = self.database.remote
        response = await remote.request("COPY", path, headers=headers, settle=settle)
        response.json(Written)
        return response

    async def info(self) -> JsonDict:
        """Return `{"ok", "id", "rev"}` of what the server has now (`HEAD /{db}/{docid}`).

        Raise `NotFoundError` when it does not exist.
        """
        response = await self.database.remote.request("HEAD", self.endpoint)
        if response.etag is None:
            what = "the answer has no ETag: is this a CouchDB?"
            raise UnexpectedAnswerError(f"{self!r}: {what}", Facts("HEAD", self.endpoint, 200))
        return {"ok": True, "id": self.full_id, "rev": response.etag}

    async def fetch_info(self) -> JsonDict:
        """Call `info`. Deprecated since 3.0: this is its older name."""
        warnings.warn("Document.fetch_info is now info", DeprecationWarning, stacklevel=2)
        return await self.info()

    async def conflicts(self) -> list[str]:
        """Return the revisions that lost against the winner, deleted ones left out."""
        return (await self._fetch_members(conflicts=True)).conflicts

    async def leaves(self) -> Leaves:
        """Return all leaves, deleted ones too, as `Database.leaves` gives them."""
        return await self.database.leaves(self.full_id)

    async def open_revs(
        self, revs: Iterable[str] | Literal["all"], *, latest: bool = False
    ) -> list[Document]:
        """Return the document in some revisions, by one request (`GET /{db}/{docid}?open_revs=…`).

        "all" are all leaves, deleted ones too; `leaves` knows which of them wins. What the server does not
        have is left out. With `latest` a revision that others followed is replaced by the leaves that
        came of it.
        """
        wanted = revs if revs == "all" else listed(revs, "revs")
        asked = {"open_revs": wanted, "latest": latest or None}
        path = with_query(self.endpoint, asked)
        found = await self.database.remote.json("GET", path, into=list[_Open])
        texts = [text for each in found if (text := bytes(each.ok))]
        return [of_text(Document, self.database, self.full_id, text) for text in texts]

    async def revs(self) -> list[str]:
        """Return the revisions that led to the winner, the newest first, as far as the server knows them."""
        return [info.rev for info in (await self._fetch_members(revs_info=True)).revs_info]

    async def _fetch_members(self, **options: Any) -> _Revisions:
        path = with_query(self.endpoint, options)
        found = await self.database.remote.json("GET", path, into=_Revisions)
        if found.id != self.full_id:
            self._no_document(None)
        return found

    def attachment(self, id: str) -> Attachment:
        """Return the attachment of that name. Sends no request."""
        return Attachment(self, id)

    async def __aenter__(self) -> Self:
        with contextlib.suppress(NotFoundError):
            await self.fetch(discard_changes=True)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            await self.save()

    # -- the mapping ------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        content = self._content
        if content is None:  # a call less than by _loaded()
            content = self._content = self._decoded(self._text)
        return content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._loaded()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._loaded()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._loaded()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a member, or `default` where there is none."""
        return self._loaded().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a member, which becomes `default` where there is none."""
        return self._loaded().setdefault(key, default)

    def keys(self) -> KeysView[str]:
        """Return the names of the members, a view that follows changes."""
        return self._loaded().keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the members, a view that follows changes."""
        return self._loaded().values()

    def items(self) -> ItemsView[str, Any]:
        """Return the members, a view that follows changes."""
        return self._loaded().items()

    def update(  # type: ignore[override]
        self, /, data: SupportsUpdate = (), **members: Any
    ) -> None:
        """Take over the members of `data`, a mapping or pairs, and then those given by keyword."""
        self._loaded().update(data, **members)

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())

    def __bool__(self) -> bool:
        return True  # as ever: a document is not an empty container

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)


def _mapping(data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if data is None:
        return {}
    if type(data) is dict:
        return data
    if isinstance(data, Document):
        # With the revision of the one, the other could not be saved.
        raise InvalidTypeError(f"the data must be a dict, such as the json of {data!r}")
    if not isinstance(data, Mapping):
        raise InvalidTypeError(f"the data must be a dict, not {type(data).__name__}")
    return data


class SecurityDocument(Document):
    """Who may read and write a database: names and roles of members and of admins.

    Used as an async context manager it is fetched on entry and saved on exit.
    """

    __slots__ = ()

    def __init__(self, database: Database, *, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(database, "_security", data)

    def _begun(self, data: Mapping[str, Any] | None) -> JsonDict:
        return dict(_mapping(data))

    def _with_identity(self, body: bytes) -> bytes:
        return body

    def _is_ours(self, data: JsonDict) -> bool:
        return True  # it has no id, and may be empty

    def _saved(self, text: bytes, rev: str) -> None:
        self._snapshot = Snapshot(text, None)

    @property
    def endpoint(self) -> str:
        """`/{db}/_security`."""
        return f"{self.database.endpoint}/_security"

    @property
    def exists(self) -> bool:
        """Whether it was fetched or saved."""
        return self._content is None or self._snapshot is not NEVER_SEEN

    async def save(self, *, w: int | None = None, batch: bool = False) -> HTTPResponse | None:
        """Store it (`PUT /{db}/_security`), if it was changed; else return None.

        Raise `ForbiddenError` or `UnauthorizedError` when the session may not, `InvalidInputError`
        for `w` and `batch`: all copies of a cluster get it, at once.
        """
        from aiocouch._transport.settle import Register

        if w is not None or batch:
            given = "batch" if batch else "w"
            raise InvalidInputError(f"{self!r}: {given}= is for documents; all copies get this one")
        sent = to_send(self)
        if sent is None:
            return None
        try:
            settle = Register(self.endpoint, sent)
            response = await self.database.remote.request(
                "PUT", self.endpoint, body=sent, settle=settle
            )
        except RemoteResponseError as error:
            if error.reason != "no_majority":
                raise
            # So CouchDB refuses those who may not, and objects that it cannot use.
            facts = Facts("PUT", self.endpoint, 500, error.error, error.reason)
            raise ForbiddenError(
                f"the security object of {self.database.id!r} was not taken: only an admin may write it, "
                "and all names and roles must be texts",
                facts,
            ) from error
        response.json(_Done)
        saved(self, sent, "")
        return response

    async def save_with(
        self, attachments: Mapping[str, tuple[Content, str]], *, w: int | None = None
    ) -> NoReturn:
        """Raise: a security document has no attachments."""
        raise ForbiddenError(f"{self!r} has no attachments")

    async def delete(self, discard_changes: bool = False, *, w: int | None = None) -> NoReturn:
        """Raise: every database has its security document."""
        raise ForbiddenError(f"{self!r} cannot be deleted; save it without names and roles")

    def _listed(self, group: str, kind: str) -> list[str] | None:
        names: list[str] | None = self.get(group, {}).get(kind)
        return names

    def _add(self, group: str, kind: str, name: str) -> None:
        if not isinstance(name, str):
            raise InvalidTypeError(f"a name or role must be a str, not {type(name).__name__}")
        names: list[str] = self.setdefault(group, {}).setdefault(kind, [])
        if name not in names:
            names.append(name)

    def _remove(self, group: str, kind: str, name: str) -> None:
        names = self._listed(group, kind)
        if not names or name not in names:
            raise NotFoundError(f"{name!r} is not among the {kind} of the {group} of {self!r}")
        names.remove(name)

    @property
    def members(self) -> list[str] | None:
        """The names of the members, None if there is no such list."""
        return self._listed("members", "names")

    @property
    def member_roles(self) -> list[str] | None:
        """The roles of the members, None if there is no such list."""
        return self._listed("members", "roles")

    @property
    def admins(self) -> list[str] | None:
        """The names of the admins, None if there is no such list."""
        return self._listed("admins", "names")

    @property
    def admin_roles(self) -> list[str] | None:
        """The roles of the admins, None if there is no such list."""
        return self._listed("admins", "roles")

    def add_member(self, member: str) -> None:
        """Let a user read and write documents."""
        self._add("members", "names", member)

    def remove_member(self, member: str) -> None:
        """Take a user from the members. Raise `NotFoundError` (a KeyError) if there is none."""
        self._remove("members", "names", member)

    def add_member_role(self, role: str) -> None:
        """Let all users with the role read and write documents."""
        self._add("members", "roles", role)

    def remove_member_role(self, role: str) -> None:
        """Take a role from the members. Raise `NotFoundError` (a KeyError) if there is none."""
        self._remove("members", "roles", role)

    def add_admin(self, admin: str) -> None:
        """Let a user administer the database."""
        self._add("admins", "names", admin)

    def remove_admin(self, admin: str) -> None:
        """Take a user from the admins. Raise `NotFoundError` (a KeyError) if there is none."""
        self._remove("admins", "names", admin)

    def add_admin_role(self, role: str) -> None:
        """Let all users with the role administer the database."""
        self._add("admins", "roles", role)

    def remove_admin_role(self, role: str) -> None:
        """Take a role from the admins. Raise `NotFoundError` (a KeyError) if there is none."""
        self._remove("admins", "roles", role)
