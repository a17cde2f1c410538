"""Asset checks: the rules over the days of a run, and comparisons with a second source."""
