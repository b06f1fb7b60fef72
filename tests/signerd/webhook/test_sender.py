"""One attempt, over a real socket of the loopback."""

import ssl
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from certificate import make_certificate
from receiver import Receiver, run_receiver
from signerd.webhook.address import AddressRefused, check_address, find_place
from signerd.webhook.sender import DELIVERED, judge, send_over_http
from signerd.webhook.webhook import Webhook

HEADERS = {"Content-Type": "application/json", "Signerd-Event-Id": "evt-1"}


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with run_receiver() as made:
        yield made


async def test_body_and_headers_arrive_as_they_are(receiver: Receiver) -> None:
    assert await send_over_http(Webhook("w", receiver.url), HEADERS, b'{"a":1}') == DELIVERED
    [request] = receiver.received
    assert (request.path, request.body) == ("/hook", b'{"a":1}')
    assert HEADERS.items() <= request.headers.items()


async def test_a_redirect_is_a_refusal_and_not_followed(receiver: Receiver) -> None:
    with run_receiver() as other:
        receiver.statuses = [307]
        receiver.headers = {"Location": other.url}
        verdict = await send_over_http(Webhook("w", receiver.url), HEADERS, b"{}")
        assert verdict.reason == "status 307: redirects are not followed"
        assert verdict.is_refused
        assert not other.received


async def test_a_receiver_that_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    receiver.hold.clear()
    verdict = await send_over_http(Webhook("w", receiver.url, timeout_seconds=0.2), HEADERS, b"{}")
    assert verdict.reason == "no answer within 0.2 s"
    assert not verdict.is_refused


async def test_an_answer_of_any_length_is_not_read(receiver: Receiver) -> None:
    receiver.statuses = [200]
    receiver.body = b"x" * (8 << 20)
    assert await send_over_http(Webhook("w", receiver.url), HEADERS, b"{}") == DELIVERED


async def test_nobody_there_is_a_failure_that_says_so() -> None:
    with run_receiver() as gone:
        pass
    verdict = await send_over_http(Webhook("w", gone.url), HEADERS, b"{}")
    assert verdict.reason is not None
    assert verdict.reason.startswith("ConnectError")


async def test_certificates_are_checked_against_the_file_of_the_webhook(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with run_receiver(context) as receiver:
        webhook = Webhook("w", receiver.url.replace("127.0.0.1", "localhost"))
        verdict = await send_over_http(webhook, HEADERS, b"{}")
        assert "certificate verify failed" in str(verdict.reason).lower()
        trusting = replace(webhook, ca_file=chain)
        assert await send_over_http(trusting, HEADERS, b"{}") == DELIVERED
        missing = replace(webhook, ca_file=tmp_path / "missing.pem")
        assert "FileNotFoundError" in str((await send_over_http(missing, HEADERS, b"{}")).reason)
    assert len(receiver.received) == 1


async def test_a_name_is_sent_along_and_its_address_is_used(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")
    assert await send_over_http(Webhook("w", url), HEADERS, b"{}") == DELIVERED
    [request] = receiver.received
    assert request.headers["Host"] == url.removeprefix("http://").removesuffix("/hook")


async def test_a_name_that_nobody_knows_is_a_failure_that_says_so() -> None:
    name = "x" * 64 + ".test"  # no name has such a label, so nobody is asked
    verdict = await send_over_http(Webhook("w", f"https://{name}/"), HEADERS, b"{}")
    assert str(verdict.reason).startswith(f"{name} is not known")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("192.168.0.1", "private"),
        ("fd00::1", "private"),
        ("127.0.0.1", "private"),
        ("::ffff:10.1.2.3", "private"),
        ("100.64.0.1", "private"),
        ("169.254.169.254", "no receiver"),
        ("::ffff:169.254.169.254", "no receiver"),
        ("fe80::1%eth0", "no receiver"),
        ("0.0.0.0", "no receiver"),  # noqa: S104  # an address to refuse
        ("::", "no receiver"),
        ("224.0.0.1", "no receiver"),
        ("255.255.255.255", "no receiver"),
    ],
)
def test_names_do_not_lead_everywhere(address: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason):
        check_address("alarms.test", address, allow_private=False)
    if reason == "private":
        check_address("alarms.test", address, allow_private=True)
    else:
        with pytest.raises(AddressRefused):
            check_address("alarms.test", address, allow_private=True)


@pytest.mark.parametrize("address", ["198.41.0.4", "2001:503:ba3e::2:30"])
def test_public_addresses_do(address: str) -> None:
    check_address("alarms.test", address, allow_private=False)


async def test_an_address_in_the_url_is_what_the_operator_wants() -> None:
    place = await find_place("https://[fd00::1]:8443/x", allow_private=False)
    assert (place.addresses, place.authority, place.is_literal) == (("fd00::1",), "[fd00::1]:8443", True)


@pytest.mark.parametrize(
    ("status", "is_refused"),
    [
        (301, True),
        (400, True),
        (404, True),
        (410, True),
        (408, False),
        (425, False),
        (429, False),
        (500, False),
    ],
)
def test_whether_a_status_is_about_the_event_or_the_moment(status: int, is_refused: bool) -> None:
    assert judge(status, None).is_refused is is_refused
    assert judge(status, None).reason is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("999999", 3600), ("-1", 0), ("soon", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("²", 0)],
)
def test_a_receiver_may_ask_for_patience_up_to_an_hour(header: str, seconds: int) -> None:
    assert judge(503, header).retry_after == seconds
