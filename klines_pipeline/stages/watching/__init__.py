"""Which days are wanted, and why: archives published or rewritten, klines that have closed, days nobody mended."""
