"""Thirty simulated days that nobody attends to: everything is there in the end, once, and says why it ran."""

from pathlib import Path

import pytest

from klines_pipeline_tests.unattended.story import Story, open_instance
from klines_pipeline_tests.unattended.telling import told
from klines_pipeline_tests.unattended.verdicts import judged
from klines_pipeline_tests.unattended.world import Scale, open_exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def test_thirty_days_of_fifty_symbols_keep_themselves(tmp_path: Path) -> None:
    scale = Scale()
    with open_exchange(scale) as exchange, open_instance(str(tmp_path)) as instance:
        outcome = Story(scale, exchange, tmp_path, instance, tell=print).run()

        verdicts = judged(exchange, outcome)

    print(told(outcome, verdicts))
    assert {name: complaints for name, complaints in verdicts.items() if complaints} == {}
    assert outcome.not_kept_when_killed
    assert len(outcome.rewritten) == 3
