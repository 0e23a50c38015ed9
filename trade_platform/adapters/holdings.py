"""Every structure that grows, with its bound: what a process tells so that a soak can name what grows.

Who keeps a queue, a cache or a map writes one small method, and the composition root adds it::

    class Directory:
        def holdings(self) -> Iterator[Held]:
            yield Held("directory", len(self._known), MOST_KNOWN)

    holdings = Holdings(REGISTRY)
    holdings.add(lambda: engine.holdings())

Nothing is counted on the hot path: sizes are taken when /metrics is asked. Where a structure may swell and
shrink between two looks it keeps its own ``high_water``; of all others the most at any look is told.
What happens at the bound is the owner's to decide: what can be read again is let go, what cannot is
refused aloud. The names of two structures of a process must differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry


class Held(msgspec.Struct, frozen=True):
    """One structure, now."""

    name: str
    size: int
    """Entries, or bytes where the name says so (``spool_bytes``)."""
    bound: int
    """It never holds more."""
    high_water: int = 0
    """The most that it ever held, where it knows by itself."""


Source: TypeAlias = Callable[[], Iterable[Held]]


class Holdings(Collector):
    """Gauges ``structure_entries``, ``structure_high_water`` and ``structure_bound``, by ``structure``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sources: list[Source] = []
        self._most: dict[str, int] = {}
        registry.register(self)

    def add(self, source: Source) -> None:
        """Asked at every look; may answer with other structures each time."""
        self._sources.append(source)

    def collect(self) -> Iterator[Metric]:
        labels = ["structure"]
        entries = GaugeMetricFamily("structure_entries", "Held now", labels=labels)
        most = GaugeMetricFamily("structure_high_water", "Most ever held", labels=labels)
        bound = GaugeMetricFamily("structure_bound", "Never more than this", labels=labels)
        for source in self._sources:
            for held in source():
                high = max(held.size, held.high_water, self._most.get(held.name, 0))
                self._most[held.name] = high
                entries.add_metric([held.name], held.size)
                most.add_metric([held.name], high)
                bound.add_metric([held.name], held.bound)
        yield from (entries, most, bound)
