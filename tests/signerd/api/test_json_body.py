import pytest
from pydantic import Field

from signerd.api.errors import InvalidBody, MediaTypeUnsupported
from signerd.api.json_body import MAX_DEPTH, parse_object, read_model, require_json
from signerd.api.wire import WireModel


class Inner(WireModel):
    days: int


class Body(WireModel):
    key_name: str = Field(max_length=5)
    count: int = 0
    ratio: float = 0.0
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "no valid JSON"),
        (b"{", "no valid JSON"),
        (b"{} x", "no valid JSON"),
        (b"\xff{}", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "no valid JSON"),
        (b'"x"', "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":1,"a":1}', "names a member twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "names a member twice"),
        (b'{"a":NaN}', "NaN is no JSON number"),
        (b'{"a":-Infinity}', "-Infinity is no JSON number"),
        (b'{"a":1e400}', "too large"),
        (b'{"a":' + b"9" * 5000 + b"}", "too long"),
        (b'{"a":' * MAX_DEPTH + b"{}" + b"}" * MAX_DEPTH, "nested deeper"),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested deeper"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
    ],
)
def test_what_readers_could_take_differently_is_refused(octets: bytes, reason: str) -> None:
    with pytest.raises(InvalidBody, match=reason):
        parse_object(octets)


def test_the_deepest_and_the_widest_are_taken() -> None:
    depth = MAX_DEPTH - 1
    parse_object(b'{"a":' * depth + b"{}" + b"}" * depth)
    parse_object(b'{"a":[' + b",".join([b"[]"] * 100) + b"]}")


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"{}", "keyName is required"),
        (b'{"key_name":"a"}', "keyName is required"),
        (b'{"keyName":1}', "keyName: "),
        (b'{"keyName":"secret"}', "keyName: "),
        (b'{"keyName":"\\ud800"}', ""),
        (b'{"keyName":"a","count":"1"}', "count: "),
        (b'{"keyName":"a","count":1.0}', "count: "),
        (b'{"keyName":"a","count":true}', "count: "),
        (b'{"keyName":"a","inner":{"days":"7"}}', "inner.days: "),
        (b'{"keyName":"a","inner":[]}', "inner: "),
    ],
)
def test_a_body_that_does_not_fit_names_the_member_and_not_its_value(octets: bytes, message: str) -> None:
    with pytest.raises(InvalidBody) as error:
        read_model(octets, Body)
    assert str(error.value).startswith(message)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_unknown_members_are_ignored_and_absent_ones_are_the_default() -> None:
    body = read_model(b'{"keyName":"a","other":{"deep":[1]},"ratio":1}', Body)
    assert body == Body(key_name="a", ratio=1.0)
    assert body.render() == {"keyName": "a", "count": 0, "ratio": 1.0}


@pytest.mark.parametrize(
    ("values", "is_fine"),
    [
        (["application/json"], True),
        (["Application/JSON; charset=UTF-8"], True),
        (['application/json;charset="utf-8"'], True),
        ([], False),
        (["text/plain"], False),
        (["application/json; charset=latin-1"], False),
        (["application/x-www-form-urlencoded"], False),
        (["application/json", "application/json"], False),
    ],
)
def test_a_body_must_be_said_to_be_json(values: list[str], is_fine: bool) -> None:
    if is_fine:
        require_json(values)
        return
    with pytest.raises(MediaTypeUnsupported):
        require_json(values)
