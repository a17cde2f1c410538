"""The outside world: URLs, wire columns, limits and manners of each exchange. Nothing here writes to the lake."""
