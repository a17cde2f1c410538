"""The flow: days in, results out. Plain functions over an exchange and a lake; no Dagster."""
