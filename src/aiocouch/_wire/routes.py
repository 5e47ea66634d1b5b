"""What a path asks for, in the words of CouchDB's reference: `/{db}/{docid}`."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Route", "route_of"]

_ROUTES = """
/
/_active_tasks
/_all_dbs
/_cluster_setup
/_db_updates
/_dbs_info
/_membership
/_node/{node-name}
/_node/{node-name}/_config
/_node/{node-name}/_config/_reload
/_node/{node-name}/_config/{section}
/_node/{node-name}/_config/{section}/{key}
/_node/{node-name}/_prometheus
/_node/{node-name}/_restart
/_node/{node-name}/_smoosh/status
/_node/{node-name}/_stats
/_node/{node-name}/_stats/{name...}
/_node/{node-name}/_system
/_node/{node-name}/_versions
/_nouveau_analyze
/_replicate
/_reshard
/_reshard/jobs
/_reshard/jobs/{jobid}
/_reshard/jobs/{jobid}/state
/_reshard/state
/_scheduler/docs
/_scheduler/docs/{replicator_db}
/_scheduler/docs/{replicator_db}/{docid}
/_scheduler/jobs
/_search_analyze
/_session
/_up
/_utils
/_utils/{path...}
/_uuids
/favicon.ico
/{db}
/{db}/_all_docs
/{db}/_all_docs/queries
/{db}/_auto_purge
/{db}/_bulk_docs
/{db}/_bulk_get
/{db}/_changes
/{db}/_compact
/{db}/_compact/{ddoc}
/{db}/_design/{ddoc}
/{db}/_design/{ddoc}/_info
/{db}/_design/{ddoc}/_list/{func}/{view}
/{db}/_design/{ddoc}/_list/{func}/{other-ddoc}/{view}
/{db}/_design/{ddoc}/_nouveau/{index}
/{db}/_design/{ddoc}/_nouveau_info/{index}
/{db}/_design/{ddoc}/_rewrite/{path...}
/{db}/_design/{ddoc}/_search/{index}
/{db}/_design/{ddoc}/_search_disk_size/{index}
/{db}/_design/{ddoc}/_search_info/{index}
/{db}/_design/{ddoc}/_show/{func}
/{db}/_design/{ddoc}/_show/{func}/{docid}
/{db}/_design/{ddoc}/_update/{func}
/{db}/_design/{ddoc}/_update/{func}/{docid...}
/{db}/_design/{ddoc}/_view/{view}
/{db}/_design/{ddoc}/_view/{view}/queries
/{db}/_design/{ddoc}/{attname...}
/{db}/_design_docs
/{db}/_design_docs/queries
/{db}/_ensure_full_commit
/{db}/_explain
/{db}/_find
/{db}/_index
/{db}/_index/_bulk_delete
/{db}/_index/{designdoc}/json/{name}
/{db}/_index/{designdoc}/nouveau/{name}
/{db}/_index/{designdoc}/text/{name}
/{db}/_local/{docid}
/{db}/_local/{docid}/{attname...}
/{db}/_local_docs
/{db}/_local_docs/queries
/{db}/_missing_revs
/{db}/_nouveau_cleanup
/{db}/_partition/{partition_id}
/{db}/_partition/{partition_id}/_all_docs
/{db}/_partition/{partition_id}/_design/{ddoc}/_search/{index}
/{db}/_partition/{partition_id}/_design/{ddoc}/_view/{view}
/{db}/_partition/{partition_id}/_explain
/{db}/_partition/{partition_id}/_find
/{db}/_purge
/{db}/_purged_infos
/{db}/_purged_infos_limit
/{db}/_revs_diff
/{db}/_revs_limit
/{db}/_search_cleanup
/{db}/_security
/{db}/_shards
/{db}/_shards/{docid}
/{db}/_sync_shards
/{db}/_view_cleanup
/{db}/{docid}
/{db}/{docid}/{attname...}
"""
_DATABASES = frozenset({"_users", "_replicator", "_global_changes", "_dbs", "_nodes", "_metadata"})
"""The databases of CouchDB whose names begin as those of its other resources do."""


class Route(NamedTuple):
    """The route by its reference, and the database, decoded; None for a resource of the server."""

    template: str
    database: str | None


class _Fork:
    """What may come next on the way: a certain segment, or any."""

    __slots__ = ("any", "any_name", "certain", "template")

    def __init__(self) -> None:
        self.certain: dict[str, _Fork] = {}
        self.any: _Fork | None = None
        self.any_name = ""
        self.template: str | None = None

    def add(self, segments: list[str], template: str) -> None:
        """Learn a route."""
        if not segments:
            self.template = template
            return
        first, *rest = segments
        if first.startswith("{"):
            self.any = self.any or _Fork()
            self.any_name = first
            self.any.add(rest, template)
        else:
            self.certain.setdefault(first, _Fork()).add(rest, template)

    def find(self, segments: list[str]) -> str | None:
        """Return the route of segments. What is certain goes before what may be any."""
        if not segments:
            return self.template
        first, *rest = segments
        certain = self.certain.get(first)
        found = certain.find(rest) if certain is not None else None
        if found is not None or self.any is None:
            return found
        return self.any.template if self.any_name.endswith("...}") else self.any.find(rest)


def _tree() -> _Fork:
    tree = _Fork()
    for template in _ROUTES.split():
        segments = [part for part in template.split("/")[1:] if part]
        tree.add(segments, template.replace("...}", "}"))
    return tree


_tree_of_routes = lru_cache(1)(_tree)


def route_of(path: str) -> Route:
    """Return the route of a path with its query, quoted as it is sent.

    Any number of paths makes the same few routes; what none of them fits is `/{path}`.
    """
    segments = [part for part in path.partition("?")[0].split("/")[1:] if part]
    first = segments[0] if segments else ""
    is_database = bool(first) and (not first.startswith("_") or first in _DATABASES)
    known = ["{}", *segments[1:]] if first in _DATABASES else segments
    template = _tree_of_routes().find(known) or "/{path}"
    if template.startswith("/{db}") and not is_database:
        template = "/{path}"
    elif template.startswith("/{db}/{docid}") and segments[1].startswith("_"):
        template = "/{db}/{path}"
    return Route(template, unquote(first) if template.startswith("/{db}") else None)
