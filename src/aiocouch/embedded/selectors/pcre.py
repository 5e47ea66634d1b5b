r"""The regular expressions of `$regex`, which CouchDB gives to PCRE, as Python's `re` takes them.

They work on the bytes of UTF-8 as there: `.` is one byte of `é`. What PCRE writes differently is
rewritten: `\z`, `\Z`, `\h`, `\R`, `\Q…\E`, `\x{41}`, `(?<name>…)`, options in the middle
`a(?i)b`, classes `[[:alpha:]]`, `\p{L}`. What Python cannot do (recursion, `\K`, verbs) is refused.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import lru_cache

__all__ = ["compile_pattern"]

# Erlang's PCRE has the letters of Latin-1, which among the bytes of UTF-8 are the first ones of most
# characters.
_UPPER = r"\xc0-\xd6\xd8-\xde"
_LOWER = r"\xaa\xb5\xba\xdf-\xf6\xf8-\xff"
_WORD = rf"\w{_UPPER}{_LOWER}"
_MARKS = r"\xa0-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7"
_LINES = r"\n\x0b\x0c\r\x85"
_CLASSES = {
    "alpha": rf"a-zA-Z{_UPPER}{_LOWER}",
    "digit": "0-9",
    "alnum": rf"a-zA-Z0-9{_UPPER}{_LOWER}",
    "upper": rf"A-Z{_UPPER}",
    "lower": rf"a-z{_LOWER}",
    "space": r"\t\n\x0b\x0c\r ",
    "blank": r"\t ",
    "punct": rf"!-/:-@\[-`{{-~{_MARKS}",
    "print": r" -~\xa0-\xff",
    "graph": r"!-~\xa0-\xff",
    "cntrl": r"\x00-\x1f\x7f-\x9f",
    "xdigit": "0-9A-Fa-f",
    "word": _WORD,
    "ascii": r"\x00-\x7f",
}
_ESCAPES = {
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "b": f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
    "B": f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))",
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "h": r"[\t \xa0]",
    "H": r"[^\t \xa0]",
    "v": f"[{_LINES}]",
    "V": f"[^{_LINES}]",
    "R": rf"(?:\r\n|[{_LINES}])",
    "N": r"[^\n]",
    "C": r"[\s\S]",
    "X": r"[\s\S]",
    "e": r"\x1b",
    "G": "",
}


def _others(members: str) -> str:
    """Return the members of a class that holds what another one does not."""
    other = re.compile(f"[^{members}]".encode())
    return "".join(f"\\x{code:02x}" for code in range(256) if other.match(bytes([code])))


_ESCAPES_IN_CLASS = {
    "w": _WORD,
    "W": _others(_WORD),
    "h": r"\t \xa0",
    "v": _LINES,
    "e": r"\x1b",
}
_POSIX = re.compile(r"\[:(\^?)(\w+):\]")
_OPTIONS = re.compile(r"\(\?([imsx]*(?:-[imsx]+)?)\)")
_NAMED = re.compile(r"\(\?(?:<|')([A-Za-z_]\w*)[>']")
_NAME = re.compile(r"\\k(?:<(\w+)>|'(\w+)'|\{(\w+)\})")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)([A-Z][a-z]?)\}|([A-Z]))")
_CODE = re.compile(r"\\(?:x\{([0-9A-Fa-f]+)\}|o\{([0-7]+)\}|c([ -~]))")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[bytes]:
    """Compile a pattern; ValueError when it is bad (or one that Python cannot do)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(_Rewriter(pattern).rewrite().encode("utf-8", "surrogatepass"))
    except (re.error, OverflowError, RecursionError, IndexError) as error:
        raise ValueError(str(error)) from error


def _property(match: re.Match[str]) -> str:
    """Return the members of a class for a Unicode property, of the 256 characters that bytes are."""
    name = match[3] or match[4]
    wanted = (match[1] == "p") != bool(match[2])
    codes = [
        code for code in range(256) if unicodedata.category(chr(code)).startswith(name) == wanted
    ]
    return "".join(f"\\x{code:02x}" for code in codes)


def _byte(match: re.Match[str]) -> str:
    hexadecimal, octal, control = match.groups()
    if control:
        return f"\\x{ord(control.upper()) ^ 64:02x}"
    code = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    if code > 255:
        raise re.error("a character of one byte has no such number")
    return f"\\x{code:02x}"


class _Rewriter:
    """Walks over a pattern once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._parts: list[str] = []
        # For each open group, how many groups of ours end with it.
        self._open = [0]

    def rewrite(self) -> str:
        while self._place < len(self._pattern):
            self._step()
        return "".join(self._parts) + ")" * self._open[-1]

    def _step(self) -> None:
        character = self._pattern[self._place]
        if character == "\\":
            self._escape()
        elif character == "[":
            self._class()
        elif character == "(":
            self._group()
        elif character == ")":
            self._close()
        elif self._pattern.startswith("{,", self._place):
            # PCRE wants a lower bound; without one it is text
            self._take(r"\{", 1)
        else:
            self._take(character, 1)

    def _take(self, text: str, size: int) -> None:
        self._parts.append(text)
        self._place += size

    def _escape(self) -> None:
        if match := _CODE.match(self._pattern, self._place):
            self._take(_byte(match), match.end() - self._place)
            return
        if match := _NAME.match(self._pattern, self._place):
            name = match[1] or match[2] or match[3]
            self._take(f"(?P={name})", match.end() - self._place)
            return
        if match := _PROPERTY.match(self._pattern, self._place):
            members = _property(match)
            self._take(f"[{members}]" if members else "(?!)", match.end() - self._place)
            return
        following = self._pattern[self._place + 1 : self._place + 2]
        if following == "Q":
            end = self._pattern.find("\\E", self._place)
            end = len(self._pattern) if end < 0 else end
            self._take(re.escape(self._pattern[self._place + 2 : end]), end + 2 - self._place)
        else:
            self._take(_ESCAPES.get(following, "\\" + following), 2)

    def _class(self) -> None:
        """Copy a class up to its end; a bracket that comes first is a member."""
        self._take("[", 1)
        if self._pattern.startswith("^", self._place):
            self._take("^", 1)
        if self._pattern.startswith("]", self._place):
            self._take(r"\]", 1)
        while self._place < len(self._pattern) and self._pattern[self._place] != "]":
            self._member()
        self._take("]" if self._place < len(self._pattern) else "", 1)

    def _member(self) -> None:
        character = self._pattern[self._place]
        if match := _POSIX.match(self._pattern, self._place):
            if match[2] not in _CLASSES:
                raise re.error("unknown class")
            members = _CLASSES[match[2]]
            self._take(_others(members) if match[1] else members, match.end() - self._place)
        elif match := _CODE.match(self._pattern, self._place):
            self._take(_byte(match), match.end() - self._place)
        elif match := _PROPERTY.match(self._pattern, self._place):
            self._take(_property(match), match.end() - self._place)
        elif character == "\\":
            following = self._pattern[self._place + 1 : self._place + 2]
            self._take(_ESCAPES_IN_CLASS.get(following, "\\" + following), 2)
        else:
            self._take("\\[" if character == "[" else character, 1)

    def _group(self) -> None:
        if match := _OPTIONS.match(self._pattern, self._place):
            self._take(f"(?{match[1]}:", match.end() - self._place)
            self._open[-1] += 1
        elif match := _NAMED.match(self._pattern, self._place):
            self._take(f"(?P<{match[1]}>", match.end() - self._place)
            self._open.append(0)
        else:
            self._take("(", 1)
            self._open.append(0)

    def _close(self) -> None:
        inner = self._open.pop() if len(self._open) > 1 else 0
        self._take(")" * inner + ")", 1)
