"""What one process is told, the others of this machine know: bans and silence in a folder, and nothing else shared."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import BannedError, RateLimitedError
from klines_pipeline.exchanges.binance.rest import WEIGHT_HEADER, check_body
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.rest_host import RestHost
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy
from klines_pipeline.exchanges.silence import Silence
from klines_pipeline_tests.exchanges.script import Answer, Clock, ScriptedServer

UNTIL = datetime(2025, 3, 4, 9, 2, tzinfo=UTC)
BAN = BannedError("api.example has banned this address until 09:02.", until=UNTIL, seconds=120.0)
API = "https://api.example/api/v3"


class Processes:
    """Hosts that share a folder and, being on one machine, its clock."""

    def __init__(self, server: ScriptedServer, folder: Path, clock: Clock) -> None:
        self.server, self.folder, self.clock = server, folder, clock
        self.hosts: list[RestHost] = []

    def start(self, service: str = "/api/v3") -> RestHost:
        """Another one, that remembers nothing."""
        clock = self.clock
        budget = WeightBudget(6000, clock=clock, sleep=clock.sleep)
        silence = Silence(self.server.url + service, str(self.folder), clock)
        policy = RetryPolicy(sleep=clock.sleep)
        host = RestHost(self.server.url, budget, WEIGHT_HEADER, check_body, policy, silence=silence)
        host.breaker = Breaker("host", clock=clock)
        self.hosts.append(host)
        return host


@pytest.fixture
def processes(server: ScriptedServer, tmp_path: Path, clock: Clock) -> Iterator[Processes]:
    made = Processes(server, tmp_path, clock)
    yield made
    for host in made.hosts:
        host.client.close()


def ask(host: RestHost, *, lane: WeightBudget | None = None) -> object:
    return host.get("/api/v3/klines", {}, weight=2, lane=lane).body


def test_a_ban_of_one_process_ends_the_asking_of_the_others_until_it_is_over(
    processes: Processes, server: ScriptedServer, clock: Clock
) -> None:
    server.script = [Answer(418, headers={"Retry-After": "120"}), Answer()]
    with pytest.raises(BannedError):
        ask(processes.start())

    clock.now += 100
    for _ in range(3):
        with pytest.raises(BannedError, match="banned this address until 2025-03-04 09:02:00 UTC") as banned:
            ask(processes.start())

    assert (banned.value.until, banned.value.seconds, banned.value.http_status) == (UNTIL, 20.0, 418)
    assert (len(server.paths), clock.slept) == (1, [])
    clock.now += 20
    assert ask(processes.start()) == {}


def test_silence_after_a_429_is_kept_by_the_others_too(
    processes: Processes, server: ScriptedServer, clock: Clock
) -> None:
    server.script = [Answer(429, headers={"Retry-After": "30"})]
    impatient = processes.start()
    impatient.policy = RetryPolicy(rate_limit_waits=0)
    with pytest.raises(RateLimitedError):
        ask(impatient)
    server.script = [Answer()]

    assert ask(processes.start()) == {}
    assert (clock.slept, len(server.paths)) == ([30.0], 2)


def test_a_429_of_an_hour_is_not_waited_for_and_no_one_asks_within_it(
    processes: Processes, server: ScriptedServer, clock: Clock
) -> None:
    server.script = [Answer(429, headers={"Retry-After": "3600"})]

    for _ in range(2):
        with pytest.raises(BannedError, match=r"silence until 2025-03-04 10:00:00 UTC \(HTTP 429\)") as told:
            ask(processes.start())

    assert (told.value.http_status, len(server.paths), clock.slept) == (429, 1, [])


def test_an_endpoint_counted_apart_is_silent_alone(processes: Processes, server: ScriptedServer, clock: Clock) -> None:
    server.script = [Answer(429, headers={"Retry-After": "30"})]
    first, lane = processes.start(), WeightBudget(10, clock=clock, sleep=clock.sleep)
    first.policy = RetryPolicy(rate_limit_waits=0)
    with pytest.raises(RateLimitedError):
        ask(first, lane=lane)
    server.script = [Answer()]

    ask(processes.start())
    assert clock.slept == []
    ask(processes.start(), lane=WeightBudget(10, clock=clock, sleep=clock.sleep))
    assert clock.slept == [30.0]


def test_another_service_of_the_same_host_is_not_silent(processes: Processes, server: ScriptedServer) -> None:
    server.script = [Answer(418, headers={"Retry-After": "120"}), Answer()]
    with pytest.raises(BannedError):
        ask(processes.start())

    assert ask(processes.start("/fapi/v1")) == {}


def test_a_ban_told_while_a_request_waits_for_its_weight_is_heeded(
    processes: Processes, server: ScriptedServer, clock: Clock
) -> None:
    waiting, other = processes.start(), processes.start()

    def meanwhile(seconds: float) -> None:
        clock.sleep(seconds)
        other.silence.keep(None, BAN)

    waiting.budget = WeightBudget(6000, clock=clock, sleep=meanwhile)
    waiting.budget.close(5)

    with pytest.raises(BannedError):
        ask(waiting)

    assert (server.paths, waiting.budget.in_flight) == ([], 0)


def test_the_longer_of_two_notes_stands(tmp_path: Path, clock: Clock) -> None:
    one, other = (Silence(API, str(tmp_path), clock) for _ in range(2))

    one.keep(None, RateLimitedError("", retry_after=60))
    other.keep(None, RateLimitedError("", retry_after=10))

    assert (one.seconds(None), other.seconds(None)) == (60, 60)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"half of a f",
        b"[]",
        b"{}",
        b'{"until": null, "text": "", "status": 418, "told": null}',
        b'{"until": 1e300, "text": "", "status": 418, "told": "2025-03-04T09:02:00+00:00"}',
        b'{"until": NaN, "text": "", "status": 418, "told": "2025-03-04T09:02:00+00:00"}',
        b'{"until": 1100, "text": "", "status": 418, "told": "soon"}',
        b"\xff\x00",
    ],
)
def test_a_damaged_note_is_no_note_and_the_next_replaces_it(tmp_path: Path, clock: Clock, content: bytes) -> None:
    silence = Silence(API, str(tmp_path), clock)
    silence.keep(None, BAN)
    [note] = (tmp_path / "hosts").iterdir()
    note.unlink()
    note.write_bytes(content)

    assert silence.seconds(None) == 0
    silence.keep(None, BAN)
    with pytest.raises(BannedError):
        silence.seconds(None)


def test_a_folder_that_cannot_be_written_harms_nobody(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "hosts").write_text("a file in the way", "utf-8")
    silence = Silence(API, str(tmp_path), clock)

    silence.keep(None, BAN)

    assert silence.seconds(None) == 0


def test_a_note_names_its_service_and_no_password_and_leaves_nothing_beside_it(tmp_path: Path, clock: Clock) -> None:
    silence = Silence("https://user:word@api.example:8443/api/v3", str(tmp_path), clock)

    silence.keep(None, BAN)
    silence.keep("/../../etc", RateLimitedError("", retry_after=60))

    names = sorted(path.name for path in (tmp_path / "hosts").iterdir())
    assert names == ["api.example:8443%2Fapi%2Fv3@%2F..%2F..%2Fetc", "api.example:8443%2Fapi%2Fv3@ban"]
    assert json.loads((tmp_path / "hosts" / names[1]).read_text("utf-8"))["status"] == 418


def test_without_a_folder_nothing_is_shared(clock: Clock) -> None:
    silence = Silence(API, None, clock)

    silence.keep(None, BAN)

    assert silence.seconds(None) == 0
