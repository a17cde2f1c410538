"""Looking after Dagster itself: alerts, runs that died, history that nobody needs."""
