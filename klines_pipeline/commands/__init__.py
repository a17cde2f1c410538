"""The larger commands of `klines`, and how all of them print. `cli` puts them together."""
