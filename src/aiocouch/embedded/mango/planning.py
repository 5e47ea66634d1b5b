"""Which index answers a query: CouchDB's choice, and why the others were not taken.

    plan = make_plan(indexes, options)
    plan.index, plan.ranges                # what to read; ranges [EMPTY] when nothing can match

An index can be used when the selector asks for all its fields to exist and the sort is a prefix
of them. Among those the one wins that serves most of the fields which the selector narrows, then
the one with fewer fields, then by name. A JSON index wins over the documents by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.errors import bad_request
from aiocouch.embedded.mango.definition import design_id
from aiocouch.embedded.mango.ranges import EMPTY, MAX, ValueRange, field_ranges, indexable_fields
from aiocouch.embedded.selectors.selector import Selector, first_member

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiocouch.embedded.mango.definition import JsonIndex
    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.ranges import NamedRange

__all__ = ["Plan", "Ranked", "make_plan", "required_fields", "selector_fields", "was_named"]


class Ranked(msgspec.Struct):
    """An index that could be used: its ranges, and how many narrowed fields it leaves out."""

    index: JsonIndex
    ranges: list[ValueRange]
    distance: int


class Plan(msgspec.Struct):
    """The chosen index (None: there is none) and, for `_explain`, how the choice was made."""

    index: JsonIndex | None
    ranges: list[ValueRange]
    all: list[JsonIndex]
    in_general: list[JsonIndex]
    in_scope: list[JsonIndex]
    unusable: dict[JsonIndex, list[str]]
    usable: list[JsonIndex]
    filtered: list[JsonIndex] = msgspec.field(default_factory=list)
    ranked: list[Ranked] = msgspec.field(default_factory=list)


def make_plan(
    indexes: Sequence[JsonIndex],
    options: FindOptions,
    *,
    database_partitioned: bool = False,
    explaining: bool = False,
) -> Plan:
    """Choose an index.

    Raise CouchError 400 when no index can sort so, or none that was named can be used and the
    query forbids another.
    """
    plan = _look_at(indexes, options)
    if not plan.usable and not explaining:
        raise _no_index_for_sort(options, database_partitioned)
    plan.filtered = _allowed(plan.usable, options)
    if plan.filtered:
        _choose(plan, options.selector)
    return plan


def was_named(index: JsonIndex, use_index: Sequence[str]) -> bool:
    """Return whether `use_index` names this index, or its design document."""
    if not use_index or index.ddoc != design_id(use_index[0]):
        return False
    return len(use_index) == 1 or index.name == use_index[1]


def _look_at(indexes: Sequence[JsonIndex], options: FindOptions) -> Plan:
    every = sorted(indexes, key=lambda index: index.order)
    general = [each for each in every if not each.partial_filter]
    # A partial index is used only if it is named: the planner does not look into filters.
    candidates = [
        each for each in every if not each.partial_filter or was_named(each, options.use_index)
    ]
    partitioned = options.partition != ""
    scope = [each for each in candidates if each.is_special or each.partitioned == partitioned]
    problems = {each: _problems(each, options) for each in scope}
    unusable = {each: found for each, found in problems.items() if found}
    usable = [each for each in scope if each not in unusable]
    return Plan(None, [], every, general, scope, unusable, usable)


def _problems(index: JsonIndex, options: FindOptions) -> list[str]:
    """Say why an index cannot be used; [] if it can."""
    if index.is_special:
        return _problems_of_ids(options)
    selector, sort = options.selector, list(options.sort)
    needed = {*index.columns} - {*sort} - {"_id", "_rev"}
    problems = []
    if _is_text_search(selector):
        problems.append("needs_text_search")
    if _left_over([selector], needed):
        problems.append("field_mismatch")
    if not _can_sort(list(index.columns), sort, selector):
        problems.append("sort_order_mismatch")
    return problems


def _problems_of_ids(options: FindOptions) -> list[str]:
    if not options.sort:
        return []
    problems = []
    if "_id" not in indexable_fields(options.selector):
        problems.append("field_mismatch")
    if list(options.sort) != ["_id"]:
        problems.append("sort_order_mismatch")
    return problems


def _left_over(conditions: list[Selector], needed: set[str]) -> set[str]:
    """Return those of the fields that documents may lack and still match."""
    for place, condition in enumerate(conditions):
        if not condition or not needed:
            return needed
        name, argument = first_member(condition)
        if name == "$and" and place + 1 == len(conditions):
            return _left_over(argument, needed)
        if name == "$and":
            needed = _left_over(argument, needed)
        elif name == "$or":
            needed = {left for item in argument for left in _left_over([item], needed)}
        elif argument != {"$exists": False}:
            needed = needed - {name}
    return needed


def _can_sort(columns: list[str], sort: list[str], selector: Selector) -> bool:
    """Return whether it can sort: fields that the selector fixes may stand before those of the sort."""
    if not sort:
        return True
    while columns and columns[0] != sort[0]:
        if not _is_constant([selector], columns[0]):
            return False
        columns = columns[1:]
    return bool(columns) and columns[: len(sort)] == sort


def _is_constant(conditions: list[Selector], column: str) -> bool:
    for place, condition in enumerate(conditions):
        if not condition:
            return False
        name, argument = first_member(condition)
        if name == "$and" and place + 1 == len(conditions):
            return any(_is_constant([item], column) for item in argument)
        if name == column:
            return first_member(argument)[0] == "$eq"
    return False


def _is_text_search(selector: Any) -> bool:
    if not isinstance(selector, dict) or not selector:
        return False
    name, argument = first_member(selector)
    if name == "$default":
        return True
    parts = argument if isinstance(argument, list) else [argument]
    return any(map(_is_text_search, parts))


def _no_index_for_sort(options: FindOptions, database_partitioned: bool) -> Exception:
    kind = ""
    if database_partitioned:
        kind = "partitioned " if options.partition else "global "
    if kind:
        reason = f"No {kind}index exists for this sort, try indexing by the sort fields."
    else:
        reason = "No index exists for this sort, try indexing by the sort fields."
    return bad_request(reason, "no_usable_index")


def _allowed(usable: list[JsonIndex], options: FindOptions) -> list[JsonIndex]:
    """Return the indexes that were named, or all if the query allows others."""
    named = [each for each in usable if was_named(each, options.use_index)]
    if named:
        return named
    if options.allow_fallback or (not options.use_index and len(usable) > 1):
        return usable
    if not options.use_index:
        reason = "You must specify an index with the `use_index` parameter."
        raise bad_request(reason, "invalid_index")
    name = ", ".join((design_id(options.use_index[0]), *options.use_index[1:]))
    reason = f"{name} specified by `use_index` could not be found or it is not suitable."
    raise bad_request(reason, "invalid_index")


def _choose(plan: Plan, selector: Selector) -> None:
    of_type = [each for each in plan.filtered if not each.is_special]
    narrowed = field_ranges(selector)
    if not of_type:
        of_type = plan.filtered
        narrowed = [*narrowed, ("_id", ValueRange("$gt", None, "$lt", MAX))]
    ranked = [_rank(each, narrowed) for each in of_type]
    ranked.sort(key=lambda each: (each.distance, len(each.index.columns), each.index.order))
    plan.ranked = ranked
    plan.index = ranked[0].index
    plan.ranges = [EMPTY] if _matches_nothing(selector) else ranked[0].ranges


def _rank(index: JsonIndex, narrowed: Sequence[NamedRange]) -> Ranked:
    by_field: dict[str, ValueRange] = {}
    for name, found in narrowed:
        by_field.setdefault(name, found)
    prefix = []
    for column in index.columns:
        if column not in by_field:
            break
        prefix.append(by_field[column])
    return Ranked(index, prefix, len(narrowed) - len(prefix))


def _matches_nothing(selector: Selector) -> bool:
    """CouchDB takes these to match nothing, whatever matching them would say."""
    return selector in ({"$all": []}, {"$and": []}, {"$or": []}, {"$in": []})


def selector_fields(selector: Selector) -> list[str]:
    """Return the fields that a selector names."""
    if not selector:
        return []
    name, argument = first_member(selector)
    if name.startswith("$") and isinstance(argument, list):
        return [found for item in argument for found in selector_fields(item)]
    return [name]


def required_fields(fields: Iterable[str] | None, selector: Selector) -> set[str] | None:
    """Return the fields that matching and showing a document takes; None: all."""
    return None if fields is None else {*fields, *selector_fields(selector)}
