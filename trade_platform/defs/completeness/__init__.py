"""How complete everything is, once an hour, as a picture and as a table."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.completeness.report import completeness_report, hourly, report_completeness


def definitions() -> dg.Definitions:
    """The report, its check and its schedule."""
    return dg.Definitions(assets=[completeness_report], jobs=[report_completeness], schedules=[hourly])
