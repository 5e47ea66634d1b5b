"""Numbers as CouchDB 3.5.2 prints them: the shortest text that is read as the same number. Pure.

A float has a point always, and an exponent where that is shorter: `1000.0` is `1.0e3`, `1e+21` is
`1.0e21`, and `100.0` stays. From 2⁵³ on, where floats have gaps, it has one in any case. A zero
has no sign. msgspec, which writes our JSON, does otherwise with few floats, and these are printed
anew.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["is_printed_otherwise", "printed", "reprinted"]

_EXACT = 2.0**53
_SMALL = 1e-3

# A float that msgspec prints otherwise ends in `.0` or goes on with `.000`, or has an exponent.
# Both begin with one literal character, which is what `re` looks for quickly.
_ZEROS = re.compile(rb"\.0(?:00|[^0-9]|$)")
_EXPONENT = re.compile(rb"[eE](?<=[0-9][eE])[+-]?[0-9]")
_TOKEN = rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)'


def printed(value: float) -> str:
    """Print a float."""
    sign, digits, point = _taken_apart(value)
    fixed = _fixed(digits, point)
    scientific = _scientific(digits, point)
    has_exponent = len(scientific) < len(fixed) or abs(value) >= _EXACT
    return sign + (scientific if has_exponent else fixed)


def _taken_apart(value: float) -> tuple[str, str, int]:
    """Return the sign, the digits without zeros at their ends, and where the point stands."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    lost = len(whole) + len(fraction) - len(digits)
    point = len(whole) - lost + int(exponent or "0")
    return "-" if value < 0 else "", digits.rstrip("0") or "0", point if digits.strip("0") else 1


def _fixed(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    return f"{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"


def _scientific(digits: str, point: int) -> str:
    return f"{digits[0]}.{digits[1:] or '0'}e{point - 1}"


def is_printed_otherwise(value: float) -> bool:
    """Return whether msgspec prints a float otherwise; it may say so of one that it does not."""
    if value % 100.0 == 0.0:
        return value != 0.0 or repr(value) == "-0.0"
    return -_SMALL < value < _SMALL or not -_EXACT < value < _EXACT


def reprinted(text: bytes) -> bytes:
    """Return JSON text with its floats as CouchDB prints them."""
    if _ZEROS.search(text) is None and _EXPONENT.search(text) is None:
        return text
    return _tokens().sub(_reprinted_token, text)


@cache  # compiled when it is needed, which is rare
def _tokens() -> re.Pattern[bytes]:
    return re.compile(_TOKEN)


def _reprinted_token(match: re.Match[bytes]) -> bytes:
    token = match[0]
    return token if token[0] == 34 else printed(float(token)).encode()
