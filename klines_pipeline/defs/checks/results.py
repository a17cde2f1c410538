"""How Dagster shows what a check found: a sentence, numbers that plot, the gravest rows in sight, the remedy.

What is true in general stands in the check's own description.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from klines_pipeline.klines.agreement import Comparison
from klines_pipeline.klines.findings import Finding, counted
from klines_pipeline.klines.truths import Truth

_COMMAND = "klines certificate"
Numbers = Mapping[str, int | float]


def check_result(asset: dg.AssetKey, truth: Truth, finding: Finding) -> dg.AssetCheckResult:
    """A rule over the days of a run."""
    rows = [
        {
            "day": str(breach.day),
            "symbol": breach.symbol,
            "found": breach.what or counted(breach.times, truth.breach),
            **_command(asset, truth, breach.symbol, str(breach.day)),
        }
        for breach in finding.worst
    ]
    numbers = {"breaches": finding.breaches, "days_examined": len(finding.looked.days)}
    bad = _bad(truth, finding.bad_days, rows, finding.symbol_days)
    return _result(asset, truth, finding.sentence(truth), numbers, bad, passed=not finding.breaches)


def comparison_result(asset: dg.AssetKey, truth: Truth, compared: Comparison) -> dg.AssetCheckResult:
    """A second source. What could not be asked passes and says so: an outage says nothing of the lake. A source that
    was heard and had nothing at all of what the lake has does not pass."""
    rows = [{"day": str(found.day), "symbol": found.symbol, "found": found.what} for found in compared.examples]
    numbers = {
        "rows_compared": compared.rows,
        "rows_differing": compared.differing,
        "largest_difference": compared.largest,
        "requests": compared.requests,
    }
    bad = _bad(truth, compared.bad_days, rows, compared.disagreements)
    silent = {"not_compared": compared.not_compared} if compared.not_compared else {}
    remedy = {} if compared.agrees else {"remedy": truth.remedy.replace("`", "")}
    return _result(asset, truth, compared.sentence, numbers, {**remedy, **bad, **silent}, passed=compared.agrees)


def _result(
    asset: dg.AssetKey, truth: Truth, sentence: str, numbers: Numbers, bad: Mapping[str, Any], *, passed: bool
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=truth.name,
        passed=passed,
        severity=dg.AssetCheckSeverity(truth.severity.value),
        description=sentence,
        metadata={**numbers, **bad},
    )


def _bad(truth: Truth, days: Sequence[str], rows: Sequence[Mapping[str, str]], total: int) -> dict[str, Any]:
    """Where it does not hold, for people and, as `bad_days`, for programs; nothing where it holds."""
    if not days:
        return {}
    records = [dg.TableRecord(dict(row)) for row in rows]
    if total > len(rows):
        rest = dict.fromkeys(rows[0], "") | {"found": f"and {total - len(rows):,} more"}
        records.append(dg.TableRecord(rest))
    return {"worst": dg.MetadataValue.table(records), "remedy": truth.remedy.replace("`", ""), "bad_days": [*days]}


def _command(asset: dg.AssetKey, truth: Truth, symbol: str, day: str) -> dict[str, str]:
    """What the remedy begins with, ready to be typed."""
    if _COMMAND not in truth.remedy or not symbol:
        return {}
    return {"remedy": f"{_COMMAND} {symbol} --dataset {asset.to_user_string()} --day {day}"}
