import pytest

from signerd.api.call import Call
from signerd.api.errors import MalformedRequest
from signerd.api.query import parse_query
from signerd.api.reply import Reply
from signerd.api.route import Endpoint, RouteTable


def handle(call: Call) -> Reply:
    raise AssertionError(call)


def make(method: str, pattern: str, action: str = "test:Do") -> Endpoint:
    return Endpoint(method, pattern, handle, action, "Test")


TABLE = RouteTable(
    [
        make("GET", "/v1/keys"),
        make("GET", "/v1/keys/{key}"),
        make("DELETE", "/v1/keys/{key}"),
        make("POST", "/v1/keys/{key}/rotate"),
        make("GET", "/v1/keys/special/only"),
        make("GET", "/v1/{other}/x/{last}"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "pattern", "values"),
    [
        ("GET", "/v1/keys", "/v1/keys", {}),
        ("HEAD", "/v1/keys", "/v1/keys", {}),
        ("GET", "/v1/keys/a+b", "/v1/keys/{key}", {"key": "a+b"}),
        ("GET", "/v1/keys/a%2Fb", "/v1/keys/{key}", {"key": "a%2Fb"}),
        ("DELETE", "/v1/keys/special", "/v1/keys/{key}", {"key": "special"}),
        ("POST", "/v1/keys/special/rotate", "/v1/keys/{key}/rotate", {"key": "special"}),
        ("GET", "/v1/keys/special/only", "/v1/keys/special/only", {}),
        ("GET", "/v1/keys/x/9", "/v1/{other}/x/{last}", {"other": "keys", "last": "9"}),
    ],
)
def test_a_path_is_matched_as_sent_and_a_literal_wins(
    method: str, path: str, pattern: str, values: dict[str, str]
) -> None:
    match = TABLE.find(method, path)
    assert match is not None
    assert match.endpoint is not None
    assert (match.endpoint.pattern, match.path) == (pattern, values)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/keys/",
        "/v1//rotate",
        "v1/keys",
        "/v1/keys/a/rotate/",
        "//v1/keys",
        "/v1/keys/a/b",
    ],
)
def test_other_paths_are_unknown(path: str) -> None:
    assert TABLE.find("GET", path) is None


def test_another_method_names_those_there_are() -> None:
    match = TABLE.find("PATCH", "/v1/keys/a")
    assert match is not None
    assert (match.endpoint, list(match.allowed)) == (None, ["DELETE", "GET", "HEAD"])


def test_a_route_without_action_or_a_second_time_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has no action"):
        RouteTable([make("GET", "/v1/x", "")])
    with pytest.raises(ValueError, match="twice"):
        RouteTable([make("GET", "/v1/{a}"), make("GET", "/v1/{b}")])


def test_a_query_is_decoded_once_and_blank_values_are_absent() -> None:
    query = parse_query(b"a=1&a=2,3&b=&c=x%252F+y&matchLabels%5Benv%5D=prod&matchLabels[x]=&d")
    assert query.first("a") == "1"
    assert list(query.list("a")) == ["1", "2", "3"]
    assert query.first("b") is query.first("d") is query.first("none") is None
    assert query.first("c") == "x%2F y"
    assert query.labels() == {"env": "prod"}


@pytest.mark.parametrize("octets", [b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 101)])
def test_a_query_that_cannot_be_understood_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_query(octets)


REST = RouteTable(
    [
        make("GET", "/v1/secrets/{region}/secret/{path...}"),
        make("DELETE", "/v1/secrets/{region}/secret/{path...}"),
        make("POST", "/v1/secrets/{region}/secret/{path...}/value"),
        make("DELETE", "/v1/secrets/{region}/secret/{path...}/versions"),
        make("GET", "/v1/secrets/{region}/secret"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "suffix", "rest"),
    [
        ("GET", "/app", "", "app"),
        ("GET", "/app/prod/db", "", "app/prod/db"),
        ("GET", "/app/value", "", "app/value"),
        ("GET", "/value", "", "value"),
        ("GET", "//app//", "", "/app//"),
        ("POST", "/app/value", "/value", "app"),
        ("POST", "/app/value/value", "/value", "app/value"),
        ("DELETE", "/app/versions", "/versions", "app"),
        ("DELETE", "/app/value", "", "app/value"),
        ("GET", "/a%2Fb", "", "a%2Fb"),
    ],
)
def test_the_rest_of_a_path_is_one_value_and_a_suffix_counts_for_its_methods_alone(
    method: str, path: str, suffix: str, rest: str
) -> None:
    match = REST.find(method, f"/v1/secrets/nl-01/secret{path}")
    assert match is not None
    assert match.endpoint is not None
    assert match.endpoint.pattern == "/v1/secrets/{region}/secret/{path...}" + suffix
    assert match.path == {"region": "nl-01", "path": rest}


def test_a_method_that_no_pattern_of_the_rest_has_is_not_allowed() -> None:
    match = REST.find("PUT", "/v1/secrets/nl-01/secret/app/value")
    assert match is not None
    assert match.endpoint is None
    assert match.allowed == ["DELETE", "GET", "HEAD", "POST"]
    match = REST.find("POST", "/v1/secrets/nl-01/secret/app")
    assert match is not None
    assert match.endpoint is None
    assert match.allowed == ["DELETE", "GET", "HEAD"]


def test_without_a_rest_the_shorter_pattern_is_meant() -> None:
    match = REST.find("GET", "/v1/secrets/nl-01/secret")
    assert match is not None
    assert match.endpoint is not None
    assert match.endpoint.pattern == "/v1/secrets/{region}/secret"
