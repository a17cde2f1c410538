"""OKX: candles and funding rates from REST, spot and swaps."""
