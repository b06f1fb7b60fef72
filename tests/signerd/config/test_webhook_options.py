"""What is said about webhooks that cannot be: file, line and what would be right."""

from pathlib import Path

import pytest

from signerd.config.loader import parse_config
from signerd.config.problem import BadConfig

EXAMPLE = Path(__file__).parents[3] / "config" / "signerd.yaml"


def explain(text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        parse_config(text.encode(), "f.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "url",
    [
        "https://alarms.example.net/x?y=z",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://localhost/",
        "http://10.0.0.1/, allow_http: true",
    ],
)
def test_https_and_the_loopback_do(url: str) -> None:
    text = url.replace(", allow_http: true", "\n    allow_http: true")
    config = parse_config(f"webhooks:\n  - url: {text}\n".encode(), "f.yaml")
    assert len(config.webhooks) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "http://10.0.0.1/",
            "is not https, so others could read and suppress events; `allow_http: true` accepts that",
        ),
        ("ftp://a.test/", "'ftp://a.test/' is no https URL, such as https://alarms.example.net/signerd"),
        (
            "alarms.example.net",
            "'alarms.example.net' is no https URL, such as https://alarms.example.net/signerd",
        ),
        ("https:///x", "'https:///x' is no https URL, such as https://alarms.example.net/signerd"),
        ("https://a.test:99999/", "'https://a.test:99999/' is no URL: Port out of range 0-65535"),
        (
            "https://me:secret@a.test/",
            "holds a user or a password, which would be in logs; the receiver knows us by the signature",
        ),
        ("'https://a.test/#x'", "holds a fragment (#), which is never sent"),
        ("https://ä.test/", "holds characters that no URL has; write them as %XX, and a host name in ASCII"),
    ],
)
def test_other_urls_are_refused_with_their_line(url: str, reason: str) -> None:
    assert explain(f"watch_interval: 1s\nwebhooks:\n  - url: {url}\n") == [
        f"f.yaml:3: webhooks[0].url: {reason}"
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert explain(
        "webhooks:\n"
        "  - url: https://a.test/\n"
        "    events: [rolover, kms, 'Kms!']\n"
        "  - url: https://b.test/\n"
        "    tiemout: 3s\n"
        "    max_age: 1s\n"
        "  - name: c\n"
    ) == [
        "f.yaml:3: webhooks[0].events[0]: no event begins with 'rolover'; did you mean 'rollover'?",
        "f.yaml:3: webhooks[0].events[2]: 'Kms!' is no beginning of a code, such as rollover or kms.sealed",
        "f.yaml:5: webhooks[1].tiemout: unknown option; did you mean 'timeout'?",
        "f.yaml:6: webhooks[1].max_age: '1s' is too small; at least 1m is needed",
        "f.yaml:7: webhooks[2].url: is missing",
    ]


def test_alarms_to_ignore_are_looked_at_too() -> None:
    assert explain("alarms:\n  ignore: [dnsec.expired, 'kms.sealed@a.test']\n") == [
        "f.yaml:2: alarms.ignore[0]: no event begins with 'dnsec'; did you mean 'dnssec'?"
    ]


def test_two_webhooks_of_one_host_need_names() -> None:
    text = "webhooks:\n  - url: https://a.test/1\n  - url: https://a.test/2\n"
    assert explain(text) == ["f.yaml:3: webhooks[1]: has the name 'a.test' of webhooks[0]; state a name"]
    named = parse_config((text + "    name: second\n").encode(), "f.yaml")
    assert [webhook.title for webhook in named.webhooks] == ["a.test", "second"]


def test_certificates_are_for_https() -> None:
    assert explain("webhooks:\n  - url: http://127.0.0.1/\n    ca_file: x.pem\n") == [
        "f.yaml:3: webhooks[0].ca_file: is for https only, and the URL begins with http"
    ]


def test_the_example_in_comments_states_every_option_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    start = lines.index("# webhooks:")
    example = [line.removeprefix("# ") for line in lines[start : lines.index("", start)]]
    [stated] = parse_config("\n".join(example).encode(), "example").webhooks
    [plain] = parse_config(f"webhooks: [{{url: {stated.url}}}]".encode(), "plain").webhooks
    assert stated == plain
    assert all(f" {name}: " in "\n".join(example) for name in type(stated).model_fields)
