"""The embedded exchange: a real HTTP server over a seeded market, with the real services' quirks.

It imports `domain` at most; only the demo, the command line and the tests import it.
"""
