"""What a processor counts; served as /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trade_platform.processors.apply import Applied

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """One stream's counters."""

    def __init__(self, stream: str, registry: CollectorRegistry) -> None:
        def counter(name: str, says: str) -> Counter:
            made = Counter(f"processor_{name}", says, ["stream"], registry=registry)
            return made.labels(stream)

        def gauge(name: str, says: str) -> Gauge:
            made = Gauge(f"processor_{name}", says, ["stream"], registry=registry)
            return made.labels(stream)

        self._stream = stream
        self.entries = counter("entries", "Entries read and committed")
        self.records = counter("records", "Records in them")
        self.bytes = counter("bytes", "Bytes in them")
        self.commits = counter("commits", "Transactions")
        self.repeated = counter("repeated_entries", "Entries that came again and were ignored")
        self.duplicates = counter("duplicates", "Trades and numbers that were held already")
        self.gaps = counter("gaps", "Gaps noted")
        self.dead_letters = counter("dead_letters", "Entries and records that could not be stored")
        self.outages = counter("outages", "Times that PostgreSQL or Redis went away")
        self.trimmed = counter("trimmed_entries", "Entries dropped from the stream after their window")
        self.latest_refused = counter("latest_refused", "Writes of the latest values that Redis refused")
        self.lag_entries = gauge("lag_entries", "Entries in the stream that are not stored yet")
        self.lag_seconds = gauge("lag_seconds", "Age of the newest entry less that of the newest stored")
        self.position_age = gauge("position_age_seconds", "Seconds since the position moved")
        self.high_water = gauge("buffer_high_water_bytes", "Largest read so far")
        self.owner = gauge("owner", "1: this process owns the stream; 0: it stands by")
        self.rows = Counter("processor_rows", "New rows", ["stream", "table"], registry=registry)
        commit = Histogram(
            "processor_commit_seconds",
            "From a read to its commit",
            ["stream"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.commit_seconds = commit.labels(stream)
        self._high_water = 0

    def count(self, applied: Applied) -> None:
        """A transaction was committed."""
        self.records.inc(applied.records)
        self.commits.inc()
        self.repeated.inc(applied.repeated)
        self.duplicates.inc(applied.duplicates)
        self.gaps.inc(applied.gaps)
        self.dead_letters.inc(len(applied.letters))
        self.count_rows(applied.rows)

    def committed(self, entries: int, size: int, seconds: float) -> None:
        """All of one read is stored."""
        self.entries.inc(entries)
        self.bytes.inc(size)
        self.commit_seconds.observe(seconds)
        if size > self._high_water:
            self._high_water = size
            self.high_water.set(size)

    def count_rows(self, rows: dict[str, int]) -> None:
        """New rows by table."""
        for table, count in rows.items():
            if count > 0:
                self.rows.labels(self._stream, table).inc(count)
