"""The flow: days in, results out. Plain functions over an exchange and a lake; no Dagster.

Here stand the stages of one day of klines; the folders hold what comes before and after it.
"""
