from __future__ import annotations

from prometheus_client import CollectorRegistry

from trade_platform.adapters.holdings import Held, Holdings


def test_size_bound_and_the_most_ever_are_told_by_structure() -> None:
    registry = CollectorRegistry()
    held = [Held("queue", 3, 10), Held("cache", 1, 5, high_water=4)]
    holdings = Holdings(registry)
    holdings.add(lambda: held)

    def told(name: str, structure: str) -> float | None:
        return registry.get_sample_value(name, {"structure": structure})

    assert told("structure_entries", "queue") == 3
    held[0] = Held("queue", 1, 10)
    assert told("structure_entries", "queue") == 1
    assert told("structure_high_water", "queue") == 3
    assert told("structure_high_water", "cache") == 4
    assert told("structure_bound", "cache") == 5


def test_every_source_is_asked() -> None:
    registry = CollectorRegistry()
    holdings = Holdings(registry)
    holdings.add(lambda: [Held("one", 1, 1)])
    holdings.add(lambda: [Held("other", 2, 2)])
    assert registry.get_sample_value("structure_entries", {"structure": "other"}) == 2
