"""What the demo exists to show, each looked up in the certificates and the funding table. No printing."""

import polars as pl

from klines_pipeline.domain.states import Reason


def sights(proofs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Certificates by what is to be seen in them; `proofs` have `venue` and `date`."""
    vision, rest, reason = pl.col("from_vision"), pl.col("from_rest"), pl.col("reason")
    on_spot, on_futures = pl.col("venue") == "binance/spot", pl.col("venue") == "binance/um"
    complete = pl.col("missing") == 0
    return {
        "a halt, absent from the archive and from REST alike": proofs.filter(reason == Reason.EXCHANGE_HALT),
        "futures print flat bars instead, and they are counted": proofs.filter(
            on_futures, complete, pl.col("flat").is_between(1, 100)
        ),
        "a gap of the archive, filled from REST": proofs.filter(on_spot, vision > 0, rest > 0, complete),
        "a day not yet published, served from REST alone": proofs.filter(on_spot, vision == 0, rest > 0, complete),
        "a symbol not listed yet": proofs.filter(on_spot, reason == Reason.NOT_LISTED),
        "a filter that meant BTCUSDT alone until NOVAUSDT was listed": proofs.filter(
            on_futures, pl.col("symbol") == "NOVAUSDT"
        ),
        "a market without archives, from REST alone": proofs.filter(
            pl.col("venue") == "okx/swap", rest == pl.col("expected")
        ),
    }


def funding_sights(funding: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Funding rows by what is to be seen in them; `funding` has `venue`."""
    return {
        "funding from a monthly archive": funding.filter(pl.col("source") == "vision"),
        "funding of a month without one, from REST": funding.filter(
            pl.col("source") == "rest", pl.col("venue") == "binance/um"
        ),
        "settlements some milliseconds late, kept as they are": funding.filter(
            pl.col("calc_time") != pl.col("funding_time")
        ),
        "OKX's realized rate": funding.filter(pl.col("venue") == "okx/swap"),
    }
