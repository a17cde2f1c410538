"""For readers: load rows, read certificates, see what the lake holds. No Dagster, no network."""
