"""Sensors, schedules and conditions: the days that `stages.watching` wants, as run requests."""
