"""Queries of Mango whose rows are plain values, how a query is answered, and pages of what it finds."""

from aiocouch._hints import complete as _complete
from aiocouch.mango import ExecutionStats, Found, QueryWarning, QueryWarningError
from aiocouch.paging import Page, Pages
from aiocouch.queries.plan import IndexCandidate, QueryPlan

__all__ = [
    "ExecutionStats",
    "Found",
    "IndexCandidate",
    "Page",
    "Pages",
    "QueryPlan",
    "QueryWarning",
    "QueryWarningError",
]

_complete("aiocouch")
