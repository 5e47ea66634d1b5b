"""How a document is read: the options of a GET, and the members they add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.revision import Rev, format_revision
from aiocouch.embedded.codec import decode
from aiocouch.embedded.documents.edits import read_rev
from aiocouch.embedded.errors import bad_request, not_found
from aiocouch.embedded.store.attachment_texts import Shown, members_text
from aiocouch.embedded.store.records import Entry, Revision, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiocouch.embedded.documents.revtree import Node
    from aiocouch.embedded.http.query import Query
    from aiocouch.embedded.store.database import Database

Members = list[tuple[str, Any]]
"""Members that are added to a document, such as `_conflicts`."""


class ReadOptions(msgspec.Struct, frozen=True):
    """What a reader wants to see of a document."""

    rev: Rev | None = None
    open_revs: tuple[Rev, ...] | None = None
    all_leaves: bool = False
    latest: bool = False
    deleted: bool = False
    revs: bool = False
    revs_info: bool = False
    conflicts: bool = False
    deleted_conflicts: bool = False
    local_seq: bool = False
    attachments: bool = False
    atts_since: tuple[Rev, ...] | None = None
    att_encoding_info: bool = False

    @property
    def lists_revisions(self) -> bool:
        """Whether several revisions are asked for."""
        return self.all_leaves or bool(self.open_revs)

    @property
    def sends_attachments(self) -> bool:
        """Whether attachments come with their bytes."""
        return self.attachments or self.atts_since is not None

    def shown(self, path: Sequence[Rev]) -> Shown:
        """Tell which attachments of a revision with this path come with their bytes."""
        known = self.atts_since
        # -1 shows even what a replicator has sent without a `revpos`, which then is 0.
        since = -1 if known is None else max((rev[0] for rev in path if rev in known), default=0)
        return Shown(self.sends_attachments, since, self.att_encoding_info)


PLAIN = ReadOptions()


def read_options(query: Query) -> ReadOptions:
    """Read the options of a GET; of one that is given twice the last counts."""
    if not query.pairs:
        return PLAIN
    given = dict(query.pairs)
    meta = given.get("meta") == "true"

    def flag(name: str) -> bool:
        return given.get(name) == "true"

    open_revs = given.get("open_revs")
    since = given.get("atts_since")
    return ReadOptions(
        rev=read_rev(given["rev"]) if "rev" in given else None,
        open_revs=None if open_revs in {None, "all"} else _rev_list(open_revs),
        all_leaves=open_revs == "all",
        latest=flag("latest"),
        deleted=flag("deleted"),
        revs=flag("revs"),
        revs_info=flag("revs_info") or meta,
        conflicts=flag("conflicts") or meta,
        deleted_conflicts=flag("deleted_conflicts") or meta,
        local_seq=flag("local_seq"),
        attachments=flag("attachments"),
        atts_since=None if since is None else _rev_list(since),
        att_encoding_info=flag("att_encoding_info"),
    )


def _rev_list(text: str | None) -> tuple[Rev, ...]:
    value = decode(text or "")
    if not isinstance(value, list):
        raise bad_request("Invalid list of revisions")
    return tuple(map(read_rev, value))


def find_revision(
    database: Database, doc_id: str, options: ReadOptions
) -> tuple[Entry, Revision | None]:
    """Return a document, and the revision that is asked for where that is not simply the winner.

    Raise 404 `missing`, or `deleted` where the winner is deleted, unless that revision is named
    or deleted ones are asked for. With `latest` the winner answers for every revision, as in
    CouchDB.
    """
    entry = database.get(doc_id)
    if entry is None:
        raise not_found()
    if options.rev is not None and not options.latest:
        revision = database.revision(entry, options.rev)
        if revision is None:
            raise not_found()
        return entry, revision
    if entry.deleted and not options.deleted:
        raise not_found("deleted")
    return entry, None


def winner_members(database: Database, entry: Entry, options: ReadOptions) -> Members:
    """Return the members that the options add to the winner of a document."""
    added: Members = []
    if options.revs_info:
        added.append(("_revs_info", _revs_info(database, entry)))
    if options.conflicts and not entry.has_one_leaf and entry.tree.conflicts:
        added.append(("_conflicts", _texts(entry.tree.conflicts)))
    if options.deleted_conflicts and not entry.has_one_leaf and entry.tree.deleted_conflicts:
        added.append(("_deleted_conflicts", _texts(entry.tree.deleted_conflicts)))
    if options.local_seq:
        added.append(("_local_seq", entry.seq))
    return added


def revision_members(database: Database, entry: Entry, rev: Rev, options: ReadOptions) -> Members:
    """Return the members that the options add to any revision of a document."""
    if not options.revs:
        return []
    path = entry.tree.ancestry(rev)[: database.revs_limit]
    ids = [format_revision(node.rev).partition("-")[2] for node in path]
    return [("_revisions", {"start": rev[0], "ids": ids})]


def text_of(
    database: Database,
    record: Entry | Revision,
    members: Members,
    options: ReadOptions,
    path: Sequence[Rev],
) -> bytes:
    """Return the JSON text of a revision, its attachments as the options want them."""
    if record.attachments is None or not (options.sends_attachments or options.att_encoding_info):
        return render(record, members)
    shown = members_text(database.reader, record.attachments, options.shown(path))
    return render(record, members, shown)


def path_of(entry: Entry, rev: Rev, options: ReadOptions) -> list[Rev]:
    """Return a revision and its ancestors where the options need to know them, else []."""
    if not options.atts_since:
        return []
    return [node.rev for node in entry.tree.ancestry(rev)]


def _chosen_nodes(entry: Entry, options: ReadOptions) -> tuple[list[Node], list[Rev]]:
    tree = entry.tree
    if options.all_leaves:
        return tree.leaves, []
    found: dict[Rev, Node] = {}
    missing = []
    for rev in dict.fromkeys(options.open_revs or ()):
        node = tree.find(rev)
        if node is None:
            missing.append(rev)
        else:
            found.update((item.rev, item) for item in _followed(entry, node, options))
    return [found[rev] for rev in sorted(found)], missing


def open_revisions(
    database: Database, entry: Entry | None, options: ReadOptions
) -> tuple[list[Revision], list[Rev]]:
    """Return the revisions that `open_revs` names, and those whose body is not there."""
    if entry is None:
        return [], sorted(set(options.open_revs or ()))
    nodes, missing = _chosen_nodes(entry, options)
    revisions = []
    for node in nodes:
        revision = database.at(entry, node.pointer) if node.pointer else None
        if revision is None:
            missing.append(node.rev)
        else:
            revisions.append(revision)
    return revisions, sorted(missing)


def _followed(entry: Entry, node: Node, options: ReadOptions) -> list[Node]:
    return entry.tree.latest(node.rev) if options.latest else [node]


def _revs_info(database: Database, entry: Entry) -> list[dict[str, str]]:
    return [
        {"rev": format_revision(node.rev), "status": _status(database, entry, node)}
        for node in entry.tree.ancestry(read_rev(entry.rev))
    ]


def _status(database: Database, entry: Entry, node: Node) -> str:
    if not node.pointer or database.at(entry, node.pointer) is None:
        return "missing"
    return "deleted" if node.deleted else "available"


def _texts(nodes: Iterable[Node]) -> list[str]:
    return [format_revision(node.rev) for node in nodes]
