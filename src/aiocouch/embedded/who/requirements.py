"""What a new password must be like: the setting `password_regexp`, a list written in Erlang."""

from __future__ import annotations

import re
from typing import TypeAlias

from aiocouch.embedded.selectors.pcre import compile_pattern

_REFUSED = "Password does not conform to requirements."
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{},]|[\w@+-]+(?:\.\w+)?|\s*\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "d": "\x7f", "e": "\x1b"}

#: A string, a list, a tuple, or (None) something that no requirement has.
Term: TypeAlias = "str | list[Term] | tuple[Term, ...] | None"


def check_requirements(password: str, setting: str) -> str | None:
    """Return what is to be told of a password that does not follow the setting; None: it does.

    Raise ValueError for a setting that cannot be read.
    """
    if setting in ("", "[]"):
        return None
    for term in _Reader(setting).requirements():
        pattern, reason = _requirement(term)
        if compile_pattern(pattern).search(password.encode()) is None:
            return f"{_REFUSED} {reason}".strip()
    return None


def _requirement(term: Term) -> tuple[str, str]:
    """Return a pattern and what is told when it does not match."""
    pattern, *more = term if isinstance(term, tuple) and term else (term,)
    if not isinstance(pattern, str) or len(more) > 1:
        raise ValueError("no requirement")
    reason = more[0] if more else ""
    return pattern, reason if isinstance(reason, str) else ""


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def requirements(self) -> list[Term]:
        if self._next() != "[":
            raise ValueError("no list")
        found = self._members("]")
        if self._next().strip() or self._place != len(self._text):
            raise ValueError("more than a list")
        return found

    def _next(self) -> str:
        match = _TOKEN.match(self._text, self._place)
        if match is None:
            raise ValueError(f"not understood: {self._text[self._place :]}")
        self._place = match.end()
        return match[1]

    def _term(self, begin: str) -> Term:
        if begin == "[":
            return self._members("]")
        if begin == "{":
            return tuple(self._members("}"))
        if begin.startswith('"'):
            return _ESCAPE.sub(lambda match: _CONTROLS.get(match[1], match[1]), begin[1:-1])
        if begin.strip() in ("]", "}", ",", ""):
            raise ValueError("a term is missing")
        return None

    def _members(self, end: str) -> list[Term]:
        members: list[Term] = []
        text = self._next()
        if text == end:
            return members
        while True:
            members.append(self._term(text))
            text = self._next()
            if text == end:
                return members
            if text != ",":
                raise ValueError(f"no {end}")
            text = self._next()
