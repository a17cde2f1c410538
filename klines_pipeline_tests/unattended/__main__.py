"""`python -m klines_pipeline_tests.unattended`: the thirty days, told as they go; exit code 1 if anything is wrong."""

import argparse
import sys
import tempfile
from pathlib import Path

from klines_pipeline_tests.unattended.story import Outcome, Story, open_instance
from klines_pipeline_tests.unattended.telling import told
from klines_pipeline_tests.unattended.verdicts import judged
from klines_pipeline_tests.unattended.world import Scale, open_exchange


def main() -> None:
    """Tell the story in a temporary folder."""
    parser = argparse.ArgumentParser(prog="unattended", description=__doc__)
    standard = Scale()
    for name in ("days", "symbols", "freshness_minutes", "seed"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(standard, name))
    scale = Scale(**vars(parser.parse_args()))
    with (
        tempfile.TemporaryDirectory(prefix="unattended-") as folder,
        open_exchange(scale) as exchange,
        open_instance(folder) as instance,
    ):
        outcome: Outcome = Story(scale, exchange, Path(folder), instance, lambda words: print(words, flush=True)).run()
        verdicts = judged(exchange, outcome)
        print(told(outcome, verdicts))
    sys.exit(any(verdicts.values()))


if __name__ == "__main__":
    main()
