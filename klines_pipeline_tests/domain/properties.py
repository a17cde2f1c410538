"""Properties are checked on the same examples in every run, and no example is timed: machines differ."""

from hypothesis import settings

settings.register_profile("klines", deadline=None, derandomize=True, max_examples=100, database=None)
settings.load_profile("klines")
