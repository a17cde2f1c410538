"""Binance: Vision archives and REST, one row a market in `markets`."""
