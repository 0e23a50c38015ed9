"""Every defence is missed by some fault, and every fault that can be thought of has its row."""

from __future__ import annotations

from benchmarks.matrix import cases
from trade_platform.domain.defences import Defence
from trade_platform.settings import settings_from

FAULTS = """
silent after connect; silent after subscribe-ack; pings but no data; one channel of many silent;
half-open TCP; close_1000; close_1001; close_1006; close_1008; accept_close; refuse; tls_error; slow server;
slow reader on our side; frame split; 10 MB frame; malformed; unknown message types;
null and missing fields; sequence jump; duplicates; reordering; clock 30 s off both ways;
wrong route acked; subscribe result short; 429 with Retry-After; 418; 10028 with close;
test_request_flood; heartbeat stop; maintenance with notice; maintenance without notice;
partial_lock; server_shutdown; 24 h rotation; settlement burst;
instrument expiring while running; instrument listing while running; redis_kill; Redis stop for 60 s;
Redis out of memory; redis_slow; Redis losing its last second, consumed;
Redis losing its last second, not yet consumed; an XADD whose answer is lost;
a spool replay cut off half-way; postgres_kill; PostgreSQL stopped for 60 s; disk of the spool full;
deadlock; serialization_failure; a record that PostgreSQL refuses inside a batch; streamer_kill;
processor_kill; streamer/processor kill -9 at random points, 50 times in a row under load;
two_processors; machine restart of everything at once; upgrade; the exchange's horizon;
two faults at once
"""


def test_each_can_be_named_in_the_setting() -> None:
    assert settings_from({"WITHOUT": ",".join(Defence)}).without == set(Defence)


def test_each_is_the_one_that_some_fault_of_the_matrix_leaves_out() -> None:
    assert {case.defences[0] for case in cases() if case.defences} == set(Defence)


def test_every_fault_has_a_row() -> None:
    named = {" ".join(fault.split()) for fault in FAULTS.split(";")}
    rows = {name for case in cases(count=1) for name in (case.name, *case.covers)}
    assert named - rows == set()
