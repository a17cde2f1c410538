"""The Dagster side, one folder per Dagster noun. Thin: what an asset does is one call into `stages`."""
