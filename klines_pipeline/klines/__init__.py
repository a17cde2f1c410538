"""What a correct kline frame is, and what may be said of it. Polars over `domain`; no I/O, no clock, no Dagster."""
