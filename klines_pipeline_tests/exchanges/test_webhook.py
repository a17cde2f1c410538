"""Posting to an address a person chose: what may be tried again, what not, and no word of the address itself."""

import json

import pytest

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.exchanges.webhook import post
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

HOOK = "/services/T0/B0/secret"


def test_a_message_arrives_as_json(server: ScriptedServer) -> None:
    post(server.url + HOOK, {"text": "币安人生USDT failed"})

    assert server.paths == [HOOK]
    assert json.loads(server.bodies[0]) == {"text": "币安人生USDT failed"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_pass_may_be_tried_again(server: ScriptedServer, status: int) -> None:
    server.script = [Answer(status)]

    with pytest.raises(TransientError, match=rf"127\.0\.0\.1 answered HTTP {status}\.") as failed:
        post(server.url + HOOK, {})

    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410])
def test_an_address_that_is_not_valid_any_more_refuses(server: ScriptedServer, status: int) -> None:
    server.script = [Answer(status, headers={"Location": "/elsewhere"})]

    with pytest.raises(RejectedRequestError, match="KLINES_ALERT_URL") as failed:
        post(server.url + HOOK, {})

    assert (failed.value.http_status, len(server.paths)) == (status, 1)
    assert "secret" not in str(failed.value)


def test_a_receiver_that_is_not_there_may_come_back(server: ScriptedServer) -> None:
    server.shutdown()
    server.server_close()

    with pytest.raises(TransientError, match=r"127\.0\.0\.1 could not be reached") as failed:
        post(server.url + HOOK, {})

    assert "secret" not in str(failed.value)


def test_no_address_stands_in_the_log(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    post(server.url + HOOK, {})

    assert "secret" not in caplog.text
