"""Patterns that PCRE writes otherwise than Python."""

from __future__ import annotations

import pytest

from aiocouch.embedded.selectors.pcre import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a.c$", "abc", True),
        (r"c\z", "abc\n", False),
        (r"c\Z", "abc\n", True),
        (r"a\hb", "a\tb", True),
        (r"a\Rb", "a\r\nb", True),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b\Ec", "a.bc", True),
        (r"\x{41}", "A", True),
        ("(?<n>a)b", "ab", True),
        ("(?'n'a)b", "ab", True),
        ("a(?i)bc", "aBC", True),
        ("a(?i)bc", "ABC", False),
        ("(a(?i)b)c", "aBC", False),
        ("(a(?i)b)c", "aBc", True),
        ("[[:alpha:]]+$", "1abc", True),
        ("^[[:digit:][:space:]]+$", "1 2", True),
        ("[[:punct:]]", "a!", True),
        ("[]a]", "]", True),
        ("[^]a]", "]", False),
        ("[a[b]", "[", True),
        (r"\d{2,3}", "x12", True),
        ("é", "café", True),
        ("^..$", "é", True),
        (r"^\w+$", "é", False),
        (r"\w", "é", True),
        (r"^\W$", "é", False),
        (r"^[\W]$", "-", True),
        (r"\bé", "é", True),
        (r"\Bb", "ab", True),
        ("[[:alpha:]]", "é", True),
        ("^[[:^digit:]]+$", "ab", True),
        ("^[[:^digit:]]+$", "a1", False),
        (r"\v", "a\nb", True),
        (r"^\X\C$", "é", True),
        (r"^\x{c3}\xa9$", "é", True),
        (r"[\x{41}]", "A", True),
        (r"\o{101}\cA", "A\x01", True),
        (r"(?<q>a)\k<q>", "aa", True),
        ("(?-i)a", "A", False),
        (r"^\p{Lu}\pL$", "Ab", True),
        (r"^\p{Lu}\pL$", "ab", False),
        (r"^[\P{L}_]+$", "1_2", True),
        (r"\p{^L}", "abc", False),
        (r"\p{Lt}", "abc", False),
        ("a{,2}", "aa", False),
        ("a{,2}", "a{,2}", True),
    ],
)
def test_patterns(pattern: str, text: str, found: bool) -> None:
    assert (compile_pattern(pattern).search(text.encode()) is not None) is found


def test_a_brace_that_begins_no_number_is_a_brace() -> None:
    assert compile_pattern("a{2").search(b"a{2")


@pytest.mark.parametrize(
    "pattern", ["[", "(", "a**", "(?<n", "[[:nosuch:]]", "\\", r"\K", r"\x{e000}"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)
