"""Benchmarks anyone can run: ratios within one run, never times alone."""
