"""Funding rates through the same stages as klines; their archives hold months."""
