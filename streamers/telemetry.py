"""Metrics and health of a streamer, read from plain counters when asked: the hot path pays nothing."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from streamers.connection import Connection
from streamers.feed import Feed
from streamers.supervisor import Supervisor
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.metrics import Health
from trade_platform.domain.model import Channel, ExchangeStatus

SILENCE_SECONDS = 60.0
"""No data at all for so long is ill health, whatever the single channels' deadlines say."""
FLUSH_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0)


class Telemetry(Collector):
    """Everything that a streamer tells of itself."""

    def __init__(self, supervisor: Supervisor, clock: Clock, registry: CollectorRegistry) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._exchange = supervisor.exchange.key
        flush = Histogram(
            "streamer_flush_seconds",
            "One round trip to Redis",
            registry=registry,
            buckets=FLUSH_BUCKETS,
        )
        supervisor.publisher.sender.on_flush = flush.observe
        registry.register(self)

    def health(self) -> Health:
        """Ill when nothing comes in; Redis away is told, but is survived by the spool."""
        supervisor = self._supervisor
        publisher = supervisor.publisher
        now = self._clock.monotonic()
        down = [feed.down_reason for feed in supervisor.feeds.values() if feed.down_reason]
        age = now - (supervisor.last_data or supervisor.started)
        reason = ""
        if supervisor.complaint:
            reason = supervisor.complaint
        elif down and len(down) == len(supervisor.feeds):
            reason = f"no connection: {down[0]}"
        elif supervisor.feeds and age > SILENCE_SECONDS:
            reason = f"no data for {age:.0f} seconds"
        return Health(
            ok=not reason,
            reason=reason,
            details={
                "exchange": self._exchange,
                "connections": len(supervisor.feeds),
                "connections_down": len(down),
                "selected": supervisor.selected,
                "unsettled": supervisor.unsettled,
                "exchange_status": str(supervisor.probe.status),
                "clock_skew_seconds": supervisor.skew.seconds,
                "live": supervisor.live,
                "waiting_for": waiting_for(supervisor),
                "redis": publisher.sender.away or "ok",
                "spool_bytes": publisher.backlog.spool.bytes,
                "shedding": bool(publisher.shed),
            },
        )

    def collect(self) -> Iterator[Metric]:
        """All families but the histogram, which keeps itself."""
        yield from self._of_exchange()
        yield from self._of_feeds()
        yield from self._of_channels()
        yield from self._of_publisher()

    def _of_exchange(self) -> Iterator[Metric]:
        supervisor = self._supervisor
        status = GaugeMetricFamily(
            "exchange_status", "1 for the state that it is in", labels=["exchange", "status"]
        )
        for one in ExchangeStatus:
            status.add_metric([self._exchange, one], 1 if supervisor.probe.status is one else 0)
        yield status
        skew = GaugeMetricFamily(
            "exchange_clock_skew_seconds", "Its clock less ours, as stamps show it", labels=["exchange"]
        )
        if supervisor.skew.seconds is not None:
            skew.add_metric([self._exchange], supervisor.skew.seconds)
        yield skew
        budget = supervisor.budget
        yield CounterMetricFamily(
            "streamer_budget_waited_seconds", "Waited for limits of the exchange", budget.waited_seconds
        )
        yield GaugeMetricFamily(
            "streamer_budget_shared", "1 while limits are shared through Redis", int(budget.shared)
        )

    def _of_feeds(self) -> Iterator[Metric]:
        labels = ["exchange", "connection"]
        messages = CounterMetricFamily("streamer_messages", "Messages received", labels=labels)
        size = CounterMetricFamily("streamer_bytes", "Bytes received", labels=labels)
        endings = CounterMetricFamily(
            "streamer_reconnects", "Connections that ended", labels=[*labels, "reason"]
        )
        attempts = CounterMetricFamily("streamer_connection_attempts", "Connections opened", labels=labels)
        up = GaugeMetricFamily("streamer_connection_up", "1 while it delivers", labels=labels)
        for name, feed in self._supervisor.feeds.items():
            place = [self._exchange, name]
            current = feed.current
            messages.add_metric(place, feed.messages + (current.messages if current else 0))
            size.add_metric(place, feed.bytes + (current.bytes if current else 0))
            attempts.add_metric(place, feed.attempts)
            up.add_metric(place, 0 if feed.down_reason else 1)
            for reason, count in feed.endings.items():
                endings.add_metric([*place, reason], count)
        yield from (messages, size, endings, attempts, up)

    def _of_channels(self) -> Iterator[Metric]:
        now = self._clock.monotonic()
        labels = ["exchange", "channel"]
        oldest = GaugeMetricFamily(
            "streamer_channel_age_seconds", "Longest silence of a symbol's channel", labels=labels
        )
        live = GaugeMetricFamily("streamer_channels_live", "Subscriptions that deliver", labels=labels)
        dead = GaugeMetricFamily("streamer_channels_waiting", "Subscriptions not live yet", labels=labels)
        ignored = CounterMetricFamily(
            "streamer_ignored", "Messages and fields that were tolerated", labels=["exchange", "type"]
        )
        ages: dict[Channel, float] = {}
        counts: dict[Channel, list[int]] = {}
        kinds: dict[str, int] = {}
        for connection in _connections(self._supervisor.feeds.values()):
            for subscription in list(connection.session.subscriptions.values()):
                channel = subscription.wanted.channel
                ages[channel] = max(ages.get(channel, 0.0), subscription.age(now) or 0.0)
                counts.setdefault(channel, [0, 0])[0 if subscription.live else 1] += 1
            for kind, count in list(connection.session.ignored.items()):
                kinds[kind] = kinds.get(kind, 0) + count
        for channel, age in ages.items():
            oldest.add_metric([self._exchange, channel], age)
            live.add_metric([self._exchange, channel], counts[channel][0])
            dead.add_metric([self._exchange, channel], counts[channel][1])
        for kind, count in kinds.items():
            ignored.add_metric([self._exchange, kind], count)
        yield from (oldest, live, dead, ignored)

    def _of_publisher(self) -> Iterator[Metric]:
        publisher, catch_up = self._supervisor.publisher, self._supervisor.catch_up
        backlog, sender = publisher.backlog, publisher.sender
        spool = backlog.spool
        records = CounterMetricFamily(
            "streamer_records", "Records handed to the bus or the spool", labels=["exchange", "kind"]
        )
        for kind, count in publisher.counts.items():
            records.add_metric([self._exchange, kind], count)
        yield records
        yield CounterMetricFamily("streamer_sent_records", "Confirmed by Redis", sender.sent_records)
        yield CounterMetricFamily("streamer_shed_records", "Thrown away, as Gaps", publisher.shed.records)
        yield CounterMetricFamily("streamer_catch_up_trades", "Trades read again", catch_up.trades)
        yield CounterMetricFamily("streamer_catch_up_given_up", "Holes left to repair", catch_up.given_up)
        yield GaugeMetricFamily("streamer_catch_up_waiting", "Holes that wait", catch_up.waiting)
        yield GaugeMetricFamily("streamer_buffer_records", "Sealed, in memory", backlog.records)
        yield GaugeMetricFamily("streamer_buffer_high_water", "Most ever sealed", backlog.high_water)
        yield GaugeMetricFamily("streamer_spool_bytes", "On disk", spool.bytes)
        yield GaugeMetricFamily("streamer_spool_high_water_bytes", "Most on disk", spool.high_water)
        yield CounterMetricFamily("streamer_spool_torn", "Spool segments cut short", spool.torn)
        yield GaugeMetricFamily("streamer_redis_up", "1 while Redis takes entries", 0 if sender.away else 1)


def waiting_for(supervisor: Supervisor) -> str:
    """What is not live yet, in a few words; empty when all is."""
    if supervisor.live:
        return ""
    waiting = [
        f"{one.wanted.symbol} {one.wanted.channel}".strip()
        for connection in _connections(supervisor.feeds.values())
        for one in connection.session.subscriptions.values()
        if not one.live
    ]
    if not waiting:
        return supervisor.complaint or "connections"
    return waiting[0] if len(waiting) == 1 else f"{waiting[0]} and {len(waiting) - 1} more"


def _connections(feeds: object) -> Iterator[Connection]:
    for feed in feeds:  # type: ignore[attr-defined]
        assert isinstance(feed, Feed)
        if feed.current is not None:
            yield feed.current
