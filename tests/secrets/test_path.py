import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd_secrets.errors import InvalidPath
from signerd_secrets.path import (
    MAX_PATH,
    Directory,
    bound_prefix,
    check_directory,
    check_path,
    check_prefix,
    find_child,
)

CHARACTERS = "abzABZ019_-.+"
segments = st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
paths = st.lists(segments, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@pytest.mark.parametrize(
    "path",
    [
        "/a",
        "/app/prod/db/password",
        "/app/value",
        "/app/versions",
        "/app/policy",
        "/A-b_c.d+e/0",
        "/...",
        "/a..b",
        "/.hidden",
        "/" + "a" * (MAX_PATH - 1),
    ],
)
def test_takes_a_legal_path_as_it_is(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a",
        "app/x",
        "/app/",
        "//app",
        "/app//x",
        "/app/./x",
        "/app/..",
        "/..",
        "/app/%2e%2e/x",
        "/app%2Fx",
        "/app x",
        "/app\n",
        "/app/x\x00",
        "/äpp",
        "/app/\u212a",  # the Kelvin sign, which some foldings take for a k
        "/app;x",
        "/app\\x",
        "/app/x?y",
        "/" + "a" * MAX_PATH,
    ],
)
def test_refuses_any_other_path(path: str) -> None:
    with pytest.raises(InvalidPath):
        check_path(path)


@pytest.mark.parametrize(
    ("given_text", "directory"),
    [("", "/"), ("/", "/"), ("/app", "/app/"), ("/app/", "/app/"), ("/a/b/", "/a/b/")],
)
def test_a_directory_gets_its_final_slash(given_text: str, directory: str) -> None:
    assert check_directory(given_text) == directory


@pytest.mark.parametrize("text", ["//", "/a//", "app", "/../", "/a b/"])
def test_refuses_what_is_no_directory(text: str) -> None:
    with pytest.raises(InvalidPath):
        check_directory(text)


@pytest.mark.parametrize("text", ["/", "/app/", "/app/pr", "/a."])
def test_takes_the_beginning_of_a_path_as_a_prefix(text: str) -> None:
    assert check_prefix(text) == text


@pytest.mark.parametrize("text", ["", "app", "//", "/a//", "/a%", "/" + "a" * MAX_PATH])
def test_refuses_a_prefix_of_no_path(text: str) -> None:
    with pytest.raises(InvalidPath):
        check_prefix(text)


@given(paths, st.data())
def test_the_bounds_of_a_prefix_hold_just_the_paths_that_begin_with_it(
    path: str, data: st.DataObject
) -> None:
    prefix = path[: data.draw(st.integers(1, len(path)))]
    other = data.draw(paths)
    for candidate in (path, other):
        assert (prefix <= candidate < bound_prefix(prefix)) == candidate.startswith(prefix)


@pytest.mark.parametrize(
    ("directory", "path", "child"),
    [("/", "/a", None), ("/", "/a/b", "/a/"), ("/a/", "/a/b", None), ("/a/", "/a/b/c/d", "/a/b/")],
)
def test_finds_the_child_directory_of_a_path(directory: str, path: str, child: str | None) -> None:
    assert find_child(Directory(directory), path) == child
