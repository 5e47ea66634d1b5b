"""The answer of `_explain`: what a query would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.mango.cursor import covers
from aiocouch.embedded.mango.planning import required_fields, selector_fields
from aiocouch.embedded.mango.ranges import EMPTY, MAX, MIN, end_key, indexable_fields, start_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.embedded.mango.definition import JsonIndex
    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.planning import Plan
    from aiocouch.embedded.store.database import Database

__all__ = ["explanation"]

_MAX = "<MAX>"


def explanation(database: Database, plan: Plan, options: FindOptions) -> dict[str, Any]:
    """Return the JSON object that `_explain` answers with."""
    index = plan.index
    answer = {
        "dbname": database.name,
        "index": None if index is None else index.as_json(),
        "partitioned": database.partitioned,
        "selector": options.selector,
        "opts": options.as_json(),
        "limit": options.limit,
        "skip": options.skip,
        "fields": options.fields or [],
        "index_candidates": _candidates(plan, options),
        "selector_hints": [_hints(options)],
    }
    if index is not None:
        answer["mrargs"] = _view_arguments(plan, index, options)
        answer["covering"] = covers(index, options)
    return answer


def _hints(options: FindOptions) -> dict[str, Any]:
    usable = indexable_fields(options.selector)
    others = sorted({*selector_fields(options.selector)} - {*usable})
    return {"type": "json", "indexable_fields": usable, "unindexable_fields": others}


def _view_arguments(plan: Plan, index: JsonIndex, options: FindOptions) -> dict[str, Any]:
    start, end = _keys(plan, index)
    if options.descending:
        start, end = end, start
    return {
        "include_docs": options.r == 1 and not covers(index, options),
        "view_type": "map",
        "reduce": False,
        "partition": options.partition or None,
        "start_key": start,
        "end_key": end,
        "direction": "rev" if options.descending else "fwd",
        "stable": options.stable or options.stale == "ok",
        "update": options.update and options.stale != "ok",
        "conflicts": True if options.conflicts else "undefined",
    }


def _keys(plan: Plan, index: JsonIndex) -> tuple[Any, Any]:
    if plan.ranges == [EMPTY]:
        return None, None
    if index.is_special:
        only = plan.ranges[0]
        return "" if only.low is MIN else only.low, _MAX if only.high is MAX else only.high
    end = [_MAX if value is MAX else value for value in end_key(plan.ranges)]
    return start_key(plan.ranges), end


# --- The indexes that were not chosen


class _Verdict(msgspec.Struct):
    """What is said of one index. One that falls into several groups adds up their ranks."""

    usable: bool = True
    reasons: list[str] = msgspec.field(default_factory=list)
    ranking: int = 0

    def add(self, reason: str, ranking: int, *, usable: bool) -> None:
        self.usable = self.usable and usable
        self.reasons.append(reason)
        self.ranking += ranking


def _candidates(plan: Plan, options: FindOptions) -> list[dict[str, Any]]:
    verdicts = _verdicts(plan)
    shown = []
    for index in sorted(verdicts, key=lambda each: each.order, reverse=True):
        verdict = verdicts[index]
        analysis = {
            "usable": verdict.usable,
            "reasons": [{"name": verdict.reasons[0]}],
            "ranking": verdict.ranking,
            "covering": _would_cover(index, options),
        }
        shown.append({"index": index.as_json(), "analysis": analysis})
    return shown


def _would_cover(index: JsonIndex, options: FindOptions) -> bool | None:
    if index.is_special:
        return None
    shown = required_fields(options.fields, {})
    return shown is not None and shown <= {"_id", *index.columns}


def _verdicts(plan: Plan) -> dict[JsonIndex, _Verdict]:
    """Group the others by why they lost; each group ranks after the next."""
    of_type = [each.index for each in plan.ranked]
    groups = [
        (_without(plan.filtered, of_type), True, "unfavored_type"),
        (_without(plan.usable, plan.filtered), True, "excluded_by_user"),
        (_without(plan.in_scope, plan.usable), False, ""),
        (_without(plan.in_general, plan.in_scope), False, "scope_mismatch"),
        (_without(plan.all, plan.in_general), False, "is_partial"),
    ]
    verdicts: dict[JsonIndex, _Verdict] = {each: _Verdict() for each in plan.all}
    for (indexes, usable, reason), rank in reversed(
        [*zip(groups, _ranks(plan, groups), strict=True)]
    ):
        for index in indexes:
            verdicts[index].add(reason or plan.unusable[index][0], rank, usable=usable)
    _add_losers_of_same_type(plan, verdicts)
    if plan.index is not None:
        del verdicts[plan.index]
    return verdicts


def _ranks(plan: Plan, groups: list[tuple[list[JsonIndex], bool, str]]) -> Iterator[int]:
    rank = max(1, len(plan.ranked))
    for indexes, _, _ in groups:
        yield rank
        rank += bool(indexes)


def _add_losers_of_same_type(plan: Plan, verdicts: dict[JsonIndex, _Verdict]) -> None:
    width = len(plan.index.columns) if plan.index is not None else 0
    for place, each in enumerate(plan.ranked):
        if each.distance > 0:
            reason = "less_overlap"
        elif len(each.index.columns) > width:
            reason = "too_many_fields"
        else:
            reason = "alphabetically_comes_after"
        verdicts[each.index].add(reason, place, usable=True)


def _without(some: Iterable[JsonIndex], others: Iterable[JsonIndex]) -> list[JsonIndex]:
    left_out = set(others)
    return [each for each in some if each not in left_out]
