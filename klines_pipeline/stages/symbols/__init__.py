"""Which symbols a market has and a dataset means, and since when. What their klines are does not belong here."""
