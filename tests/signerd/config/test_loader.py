from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.config.loader import MAX_FILE_OCTETS, load_config, parse_config
from signerd.config.options import Config
from signerd.config.policy import Denial, SigningKeyType
from signerd.config.problem import BadConfig


def parse_or_list_problems(octets: bytes) -> Config | list[str] | None:
    try:
        return parse_config(octets, "f.yaml")
    except BadConfig as error:
        return [str(problem) for problem in error.problems] or None


def find_problems(text: str | bytes) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        parse_config(text.encode() if isinstance(text, str) else text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "{}", "tcp:\nzones:\npolicies:\nregion:\n", "\ufeff"]
)
def test_an_empty_file_means_all_defaults(text: str) -> None:
    assert parse_config(text.encode(), "f.yaml") == Config()


def test_options_are_read_into_typed_values() -> None:
    config = parse_config(
        b"zone_directory: /srv/zones\nlisten: ['::1@53']\npolicies:\n  signed-lightly: {denial: nsec, "
        b"key_type: rsa-2048, signature_validity: 30d}\nzones:\n"
        b"  - {name: Example.COM, policy: signed-lightly}\n",
        "f.yaml",
    )
    assert config.zone_directory == Path("/srv/zones")
    assert [str(address) for address in config.listen] == ["::1@53"]
    policy = config.policies["signed-lightly"]
    assert (policy.denial, policy.key_type) == (Denial.NSEC, SigningKeyType.RSA_2048)
    assert policy.signature_validity == 30 * 86400
    assert config.policies["default"] == Config().policies["default"]
    assert config.zones[0].name == "example.com."
    assert config.zones[0].policy == "signed-lightly"


def test_only_the_ipv6_address_of_the_default_may_be_left_out() -> None:
    assert [Config().may_skip(address) for address in Config().listen] == [False, True]
    config = parse_config(b"listen: ['::1@5300']", "f.yaml")
    assert not config.may_skip(config.listen[0])


def test_the_default_policy_can_be_changed() -> None:
    config = parse_config(b"policies: {default: {denial: nsec}}", "f.yaml")
    assert config.policies["default"].denial is Denial.NSEC


def test_all_problems_are_reported_at_once_with_their_lines() -> None:
    text = """\
listen: [1.2.3.4, 127.0.0.1@5300]
respnders: 1
policies:
  a: {denial: nsec33, refresh_margn: 4}
  b:
    refresh_margin: 6d
    signature_validity: 5d
zones:
  - {nam: y, policy: c}
tcp: [1]
log: {level: warn}
region: {slug: Bad Slug}
"""
    assert find_problems(text) == [
        "f.yaml:1: listen[0]: '1.2.3.4' has no port; write address@port, for example 1.2.3.4@5300",
        "f.yaml:2: respnders: unknown option; did you mean 'responders'?",
        "f.yaml:4: policies.a.denial: 'nsec33' is not one of nsec3, nsec; did you mean 'nsec3' or 'nsec'?",
        "f.yaml:4: policies.a.refresh_margn: unknown option; did you mean 'refresh_margin'?",
        "f.yaml:7: policies.b.signature_validity: 5d is not larger than refresh_margin (6d): every signature "
        "would be due as soon as it is made",
        "f.yaml:9: zones[0].name: is missing",
        "f.yaml:9: zones[0].nam: unknown option; did you mean 'name'?",
        "f.yaml:9: zones[0].policy: there is no policy 'c'",
        "f.yaml:10: tcp: must be a map of options, not a list",
        "f.yaml:11: log.level: 'warn' is not one of debug, info, warning, error; did you mean 'warning'?",
        "f.yaml:12: region.slug: 'Bad Slug' is no slug: lower-case letters, digits and single hyphens "
        "between them",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "f.yaml:1: not YAML: while parsing a flow node, "),
        ("listen:\n\t- x", "f.yaml:2: not YAML: "),
        ("a: \x00", "f.yaml:1: not YAML: character U+0000 is not allowed"),
        ("--- {}\n--- {}\n", "f.yaml:2: not YAML: "),
        (b"a: 1\nb: \xff", "f.yaml:2: not UTF-8"),
        ("[" * 100_000, "f.yaml: nested deeper than 50 levels"),
        ("- 1\n", "f.yaml:1: must be a map of options, not a list"),
        ("word", "f.yaml:1: must be a map of options, not the single value 'word'"),
        ("log: {}\nlog: {}\n", "f.yaml:2: log: stands here twice, first in line 1"),
        (
            "watch_interval: 010",
            "f.yaml:1: watch_interval: 010 is read differently by different programs; write 10",
        ),
        (
            "watch_interval: 1:30",
            "f.yaml:1: watch_interval: 1:30 is read differently by different programs; ",
        ),
        ("watch_interval: .inf", "f.yaml:1: watch_interval: .inf is not a decimal number"),
        ("limits: {records: 1_000}", "f.yaml:1: limits.records: 1_000 is read differently"),
        ("limits: {records: 1.0}", "f.yaml:1: limits.records: 1.0 is not a number"),
        ("limits: {records: '1'}", "f.yaml:1: limits.records: '1' is not a number"),
        ("limits: {records: true}", "f.yaml:1: limits.records: True is not a number"),
        ("limits: {records: 0}", "f.yaml:1: limits.records: 0 is too small; at least 1 is needed"),
        ("limits: {file_size: 1T}", "f.yaml:1: limits.file_size: '1T' is no size"),
        (
            "log: !!python/object:os.system {}",
            "f.yaml:1: log: tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("log: &a\n  x: *a", "f.yaml:1: log.x.x.x"),
        ("a: &a {}\nlog: {<<: *a}", "f.yaml:2: log.<<: merge keys are not read"),
        ("? [1]\n: 2", "f.yaml:1: a key must be a word"),
        (
            "policies: {default: {nsec3_iterations: 5}}",
            "f.yaml:1: policies.default.nsec3_iterations: is no option",
        ),
        (
            "policies: {p: {inception_offset: -1}}",
            "f.yaml:1: policies.p.inception_offset: -1 is out of range",
        ),
        (
            "policies: {p: {inception_offset: 31d}}",
            "f.yaml:1: policies.p.inception_offset: '31d' is too large; at most 30d is allowed",
        ),
        ("audit: {retention: 59m}", "f.yaml:1: audit.retention: '59m' is too small; at least 1h is needed"),
        (
            "watch_interval: 10ms",
            "f.yaml:1: watch_interval: '10ms' is too small; at least 50ms is needed",
        ),
        (
            "webhooks: [{name: a, url: 'https://a.test/', max_attempts: 0}]",
            "f.yaml:1: webhooks[0].max_attempts: 0 is too small; at least 1 is needed",
        ),
        (
            "clock: {max_jump: 2147483648}",
            "f.yaml:1: clock.max_jump: 2147483648 is out of range; 0s to 24855d3h14m7s are allowed",
        ),
        (
            "policies: {p: {signature_validity: 5d}}",
            "f.yaml:1: policies.p.signature_validity: 5d is not larger than",
        ),
        (
            "policies: {p: {signature_validity: 4000d}}",
            "f.yaml:1: policies.p.signature_validity: '4000d' is out of",
        ),
        (
            "policies: {p: {refresh_margin: 1h}}",
            "f.yaml:1: policies.p.refresh_margin: 1h is not larger than dnskey",
        ),
        (
            "policies: {p: {signature_validity: 20d, inception_offset: 20d}}",
            "f.yaml:1: policies.p.inception_offset",
        ),
        (
            "policies: {p: {steps: {confirm: ask}}}",
            "f.yaml:1: policies.p.steps.confirm: nothing is done in this step, so that nothing could be "
            "held; say it of 'withdraw'",
        ),
        ("policies: {p: {csk: maybe}}", "f.yaml:1: policies.p.csk: 'maybe' is neither true nor false"),
        (
            "policies: {p: {cds: never, signal: true}}",
            "f.yaml:1: policies.p.signal: there is nothing to signal with `cds: never`",
        ),
        (
            "zone_defaults: {policy: defualt}",
            "f.yaml:1: zone_defaults.policy: there is no policy 'defualt'; did you",
        ),
        ("zones: [{name: a}, {name: A.}]", "f.yaml:1: zones[1].name: zone a. is already listed as zones[0]"),
        ("zones: [{name: a..b}]", "f.yaml:1: zones[0].name: label of 0 octets"),
        ("zones: [{name: 0/25.2.0.192.in-addr.arpa}]", "f.yaml:1: zones[0].file: must be stated"),
        ("zones: [{name: 5}]", "f.yaml:1: zones[0].name: 5 is not text; quote it"),
        ("listen: ['::1@53', '::1@53']", "f.yaml:1: listen[1]: ::1@53 is listed twice"),
        ("organisation: {name: '***'}", "f.yaml:1: organisation.name: '***' needs an ASCII letter or digit"),
        ("responders: {answer_cache_size: -1}", "f.yaml:1: responders.answer_cache_size: -1 is no size"),
        ("listen: []", "f.yaml:1: listen: "),
        ("listen: 127.0.0.1@53", "f.yaml:1: listen: must be a list, not the single value"),
        ("zone_directory: [a]", "f.yaml:1: zone_directory: ['a'] is not text"),
        ("responders: {identity: ''}", "f.yaml:1: responders.identity: must be 1 to 255 octets long"),
        ("state_directory:\n", "f.yaml:1: state_directory: None is not text"),
    ],
)
def test_a_problem_names_file_line_option_and_reason(text: str | bytes, problem: str) -> None:
    problems = find_problems(text)
    assert any(found.startswith(problem) for found in problems), problems


def test_words_that_yaml_takes_for_booleans_stay_words() -> None:
    config = parse_config(
        b"region: {name: on, slug: no}\nresponders: {identity: yes}\npolicies: {off: {}}", "f"
    )
    assert (config.region.name, config.region.slug, config.responders.identity) == ("on", "no", "yes")
    assert "off" in config.policies


def test_aliases_of_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert find_problems("\n".join(lines)) == ["f.yaml: more than 1000000 values; aliases count each time"]


def test_a_file_that_is_too_large_is_refused() -> None:
    assert find_problems(b"#" * (MAX_FILE_OCTETS + 1)) == [f"f.yaml: larger than {MAX_FILE_OCTETS} octets"]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"none\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "none.yaml")


def test_no_file_means_the_embedded_defaults() -> None:
    assert load_config(None) == Config()


@given(st.binary(max_size=200))
def test_any_octets_give_options_or_problems(octets: bytes) -> None:
    assert parse_or_list_problems(octets) is not None


@given(st.text(alphabet="zonespliay:-[]{}&*a!?|> \n'\"0.,#<", max_size=80))
def test_any_yaml_like_text_gives_options_or_problems(text: str) -> None:
    assert parse_or_list_problems(text.encode()) is not None
