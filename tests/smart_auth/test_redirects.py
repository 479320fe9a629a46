"""Redirect URIs: what may be registered, and that only the very same string is one."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_auth.redirects import is_registered, origin_of, problem, with_parameters

GOOD = [
    "https://app.example/cb",
    "https://app.example",
    "https://app.example:8443/cb?tenant=1",
    "https://192.0.2.1/cb",
    "http://127.0.0.1:3000/cb",
    "http://localhost/cb",
    "http://[::1]:3000/cb",
    "com.example.app:/cb",
    "com.example.app://cb",
    "com.example.app:/callback?x=1",
]
BAD = [
    "",
    "/cb",
    "//app.example/cb",
    "app.example/cb",
    "https:",
    "https://",
    "https:///cb",
    "https:/app.example/cb",
    "https://app.example/cb#",
    "https://app.example/cb#there",
    "https://user@app.example/cb",
    "https://user:secret@app.example/cb",
    "https://app.example@evil.example/cb",
    "https://@app.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example%40evil.example/cb",
    "https://*.example/cb",
    "https://app.example:0/cb",
    "https://app.example:65536/cb",
    "https://app.example:/cb",
    "https://[::g]/cb",
    "https://-app.example/cb",
    "https://app_example..x/cb",
    "https://äpp.example/cb",
    " https://app.example/cb",
    "https://app.example/cb\n",
    "https://app.example/c b",
    "https://app.example/\t",
    "https://app.example/\0",
    'https://app.example/"><script>',
    "https://app.example/cb?code=1",
    "https://app.example/cb?a=1&state=2",
    "http://app.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://192.168.1.1/cb",
    "http://0.0.0.0/cb",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://app.example/x",
    "view-source:https://app.example",
    "com.example.app://user@callback",
    "myapp://callback",
    ".myapp:/callback",
    "ms-msdt:/id",
    "1app:/cb",
    "https://app.example/" + "a" * 2000,
]


@pytest.mark.parametrize("uri", GOOD)
def test_these_may_be_registered(uri: str) -> None:
    assert problem(uri) is None
    assert is_registered(uri, [uri])


@pytest.mark.parametrize("uri", BAD)
def test_these_may_not(uri: str) -> None:
    said = problem(uri)
    assert said
    assert not uri or uri not in said
    assert not is_registered(uri, [uri])  # not even when somebody got it into the database


@pytest.mark.parametrize(
    "asked",
    [
        "https://app.example/cb/",
        "https://app.example/cb?",
        "https://app.example/cb/../other",
        "https://app.example/CB",
        "https://APP.example/cb",
        "https://app.example:443/cb",
        "https://app.example/cb/more",
        "https://app.example/c",
        "https://app.example/%63b",
        "HTTPS://app.example/cb",
        "http://127.0.0.1:3001/cb",
    ],
)
def test_point_4_only_the_very_same_string_is_registered(asked: str) -> None:
    assert not is_registered(asked, ["https://app.example/cb", "http://127.0.0.1:3000/cb"])


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_fails_and_none_is_another(uri: str, other: str) -> None:
    assert is_registered(uri, [uri]) == (problem(uri) is None)
    assert uri == other or not is_registered(uri, [other])


@given(st.from_regex(r"(https?|[a-z]{2,5}):[/@:\\?#\[\]a-c.%\t 1-3]{0,20}", fullmatch=True))
def test_whatever_may_be_registered_is_read_alike_by_a_strict_parser(uri: str) -> None:
    if problem(uri) is None:
        parts = urlsplit(uri)
        assert parts.geturl().rstrip("?") == uri.rstrip("?")
        assert parts.username is None
        assert not parts.fragment
        assert parts.scheme not in ("http", "https") or parts.hostname


@given(st.sampled_from(GOOD), st.text(max_size=40), st.text(alphabet=" +&=%#?/\\é☃", max_size=10))
def test_point_4_the_app_reads_exactly_what_it_is_told(uri: str, state: str, odd: str) -> None:
    told = [("state", state + odd), ("error", "access_denied")]
    made = with_parameters(uri, told)
    assert made.startswith(uri)
    assert parse_qsl(urlsplit(made).query, keep_blank_values=True)[-2:] == told
    assert urlsplit(made).fragment == ""


def test_origins_are_as_browsers_write_them() -> None:
    assert origin_of("https://App.Example:443/cb") == "https://app.example"
    assert origin_of("http://127.0.0.1:80/cb") == "http://127.0.0.1"
    assert origin_of("http://127.0.0.1:3000/cb") == "http://127.0.0.1:3000"
    assert origin_of("myapp://cb") is None
    assert origin_of("https://user@app.example") is None
