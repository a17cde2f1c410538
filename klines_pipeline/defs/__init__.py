"""The Dagster side, one file per Dagster noun. Thin: what an asset does is one call into `stages`."""
