import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd_secrets.errors import InvalidValue
from signerd_secrets.value import MAX_VALUE, ValueFormat, make_value


@given(st.binary(min_size=1, max_size=200))
def test_a_string_comes_back_as_it_was_sent(octets: bytes) -> None:
    text = base64.b64encode(octets).decode()
    value = make_value(secret_string=text)
    assert value.format is ValueFormat.STRING
    assert value.octets == octets
    assert value.render_string() == text


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(st.dictionaries(names, texts, min_size=1, max_size=5))
def test_key_values_come_back_with_every_character_and_in_order(items: dict[str, str]) -> None:
    value = make_value(secret_key_values=items)
    assert value.format is ValueFormat.KEY_VALUE
    assert list(value.render_key_values().items()) == list(items.items())


@pytest.mark.parametrize(("asked", "octets"), [(0, 32), (1, 1), (32, 32), (1024, 1024)])
def test_generates_as_many_octets_as_asked_for(asked: int, octets: int) -> None:
    first, second = make_value(generate_octets=asked), make_value(generate_octets=asked)
    assert first.format is ValueFormat.STRING
    assert len(first.octets) == octets
    assert asked == 1 or first.octets != second.octets


@pytest.mark.parametrize("asked", [-1, 1025])
def test_refuses_to_generate_other_lengths(asked: int) -> None:
    with pytest.raises(InvalidValue):
        make_value(generate_octets=asked)


def test_exactly_one_input_is_needed() -> None:
    with pytest.raises(InvalidValue):
        make_value()
    with pytest.raises(InvalidValue):
        make_value(secret_string="", secret_key_values={})
    string = base64.b64encode(b"a").decode()
    with pytest.raises(InvalidValue):
        make_value(secret_string=string, generate_octets=0)
    with pytest.raises(InvalidValue):
        make_value(secret_string=string, secret_key_values={"a": "b"})
    assert make_value(secret_string=string, secret_key_values={}).octets == b"a"


@pytest.mark.parametrize("text", ["a", "YQ=", "YQ", "YR==", " YQ==", "YQ==\n", "Y-_=", "YQ==YQ==", "ä"])
def test_refuses_base64_that_is_not_canonical(text: str) -> None:
    with pytest.raises(InvalidValue):
        make_value(secret_string=text)


def test_bounds_the_size() -> None:
    largest = base64.b64encode(bytes(MAX_VALUE)).decode()
    assert len(make_value(secret_string=largest).octets) == MAX_VALUE
    with pytest.raises(InvalidValue):
        make_value(secret_string=base64.b64encode(bytes(MAX_VALUE + 1)).decode())
    assert make_value(secret_key_values={"n": "x" * (MAX_VALUE - 1)}).render_key_values()
    with pytest.raises(InvalidValue):
        make_value(secret_key_values={"n": "ä" * ((MAX_VALUE + 1) // 2)})
    with pytest.raises(InvalidValue):
        make_value(secret_key_values={"": "x"})
    with pytest.raises(InvalidValue):
        make_value(secret_key_values={"a": "\ud800"})


def test_a_value_does_not_show_itself() -> None:
    assert "a" * 10 not in repr(make_value(secret_string=base64.b64encode(b"a" * 10).decode()))
