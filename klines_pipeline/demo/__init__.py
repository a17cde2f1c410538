"""`make demo`: a few days of several markets through Dagster, offline, on the embedded exchange."""
