"""Laws of the session cookie: what is written is read, whatever stands around it."""

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiocouch._wire.headers import Headers
from aiocouch.auth.cookie import cookie_header, session_cookie

values = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"'), min_size=1
)
attributes = st.sampled_from(
    [
        "Version=1",
        "Path=/",
        "HttpOnly",
        "Secure",
        "SameSite=Lax",
        "Expires=Sun, 29-Nov-2026 01:17:16 GMT",
    ]
)
others = st.sampled_from(
    ["lb=1; Max-Age=5", "AuthSession=; Max-Age=600", "authsession=x", "AuthSession", ""]
)


@given(values, st.lists(attributes), st.none() | st.integers(0, 10**9), st.lists(others), st.data())
def test_it_is_found_among_others(
    value: str, around: list[str], age: int | None, rest: list[str], data: st.DataObject
) -> None:
    parts = (
        around
        if age is None
        else [*around, data.draw(st.sampled_from(["Max-Age", "max-age"])) + f"={age}"]
    )
    mine = "; ".join([f"AuthSession={value}", *data.draw(st.permutations(parts))])
    several = CIMultiDict(
        ("Set-Cookie", text) for text in data.draw(st.permutations([mine, *rest]))
    )
    found = session_cookie(Headers(several))
    assert found is not None
    assert tuple(found) == (value, age)
    assert cookie_header(found.value) == {"Cookie": f"AuthSession={value}"}
    assert repr(found) == f"<SessionCookie for {found.max_age} s>"


@given(st.lists(others))
def test_none_is_found_where_there_is_none(rest: list[str]) -> None:
    assert session_cookie(Headers(CIMultiDict(("Set-Cookie", text) for text in rest))) is None
