"""Metrics of an account's streamer, read from plain counters when asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from streamers.account.driver import Driver
from streamers.account.publisher import AccountPublisher
from trade_platform.adapters.clock import Clock
from trade_platform.domain.model import MICROSECONDS

SENT_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class AccountTelemetry(Collector):
    """Everything that it tells of itself; the account's name is a label, nothing of its money is."""

    def __init__(
        self,
        driver: Driver,
        publisher: AccountPublisher,
        clock: Clock,
        account: str,
        registry: CollectorRegistry,
    ) -> None:
        self._driver = driver
        self._publisher = publisher
        self._clock = clock
        self._account = account
        sent = Histogram(
            "account_socket_to_redis_seconds",
            "From a private message, read, to Redis' answer",
            registry=registry,
            buckets=SENT_BUCKETS,
        )
        publisher.on_sent = sent.observe
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Asked by /metrics."""
        driver, publisher, own = self._driver, self._publisher, [self._account]
        records = CounterMetricFamily(
            "account_records", "Records handed to the bus or the spool", labels=["account", "kind"]
        )
        for kind, count in list(publisher.counts.items()):
            records.add_metric([*own, kind], count)
        endings = CounterMetricFamily(
            "account_reconnects", "Connections that ended", labels=["account", "reason"]
        )
        for reason, count in list(driver.endings.items()):
            endings.add_metric([*own, reason], count)
        yield from (records, endings)
        since = driver.sight.since
        blind = 0.0 if since is None else max(0.0, (self._clock.market() - since) / MICROSECONDS)
        for name, says, value in (
            ("account_live", "1 while it hears and nothing is to be read again", float(driver.live)),
            ("account_blind_seconds", "Market seconds since what is not read again began", blind),
            ("account_redis_up", "1 while Redis takes entries", 0.0 if publisher.sender.away else 1.0),
            ("account_spool_bytes", "On disk", float(publisher.backlog.spool.bytes)),
        ):
            gauge = GaugeMetricFamily(name, says, labels=["account"])
            gauge.add_metric(own, value)
            yield gauge
