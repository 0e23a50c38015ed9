"""The published limits of one exchange, kept by all processes of a host together.

A token bucket per limit lies in Redis and goes by Redis' own clock, so that processes need not agree on
theirs; beside it lies until when the exchange wants to hear nothing (429, 418, Retry-After, 10028). While
Redis is away each process keeps to its fixed share by itself. What it spends then is told to Redis
afterwards; and what it spends by Redis counts against its own share too, so that the change from one to the
other gives nobody anything twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Self

import msgspec
import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trade_platform.exchanges.limits import Bucket, Limit, by_name

ANSWER_SECONDS: Final = 0.5
"""Redis answers sooner, or counts as away."""
AGAIN_SECONDS: Final = 1.0
"""How long it is left alone then."""
FOREVER: Final = 366 * 24 * 3600.0

SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local quiet = tonumber(redis.call('GET', KEYS[2]) or '0') - now
if quiet < 0 then quiet = 0 end
local burst, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local charge, known, reserve = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = held[1] and tonumber(held[1]) or known
if held[2] then left = math.min(burst, left + math.max(0, now - tonumber(held[2])) / 1000000 * rate) end
left = left - charge
local wait, taken = 0, 0
if quiet == 0 then
  if left >= math.min(cost, burst) then
    taken = 1
  else
    wait = (math.min(cost, burst) - left) / rate
    if reserve then taken = 1; wait = math.max(0, cost - left) / rate end
  end
end
if taken == 1 then left = left - cost end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left) / rate * 1000) + 60000)
return {taken, math.ceil(wait * 1000000), quiet, math.floor(left * 1000)}
"""
"""Refill, look whether quiet is asked for, take. KEYS: bucket, quiet. ARGV: burst, rate, cost, what was spent
elsewhere, the level where nothing is known, whether to take what must be waited for."""
QUIET_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local till = now + tonumber(ARGV[1])
for _, key in ipairs(KEYS) do
  local held = tonumber(redis.call('GET', key) or '0')
  local latest = math.max(held, till)
  redis.call('SET', key, string.format('%.0f', latest), 'PX', math.ceil((latest - now) / 1000) + 1000)
end
return till
"""

log = structlog.get_logger()


class Quiet(Exception):
    """The exchange asked for more quiet than the asker can wait for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"quiet for {seconds:.0f} s")
        self.seconds = seconds


class Answer(msgspec.Struct, frozen=True):
    """What came of asking."""

    taken: bool
    wait_seconds: float
    """Before it may be spent, or before it is worth asking again."""
    quiet_seconds: float
    """How much longer the exchange wants to hear nothing."""


class _Account:
    """What this process knows of one limit."""

    def __init__(self, limit: Limit, share: float) -> None:
        self.limit = limit
        self.own = Bucket(limit, share)
        self.spent = 0.0
        """By our own share, and not told to Redis yet."""
        self.level = limit.burst
        """Of the shared bucket, as it was heard last: what a Redis that has forgotten begins with."""
        self.quiet_until = 0.0


class Budget:
    """One exchange's limits in one process. A context, or close it."""

    def __init__(
        self,
        exchange: str,
        limits: Iterable[Limit],
        *,
        redis_url: str = "",
        share: float = 0.25,
        unlimited: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waited_seconds = 0.0
        """In all, for a limit or for quiet."""
        self.shared = False
        """Redis answered when it was asked last."""
        self._exchange = exchange
        self._accounts: Mapping[str, _Account] = {
            name: _Account(limit, share) for name, limit in by_name(limits).items() if not unlimited
        }
        self._monotonic = monotonic
        self._redis_url = redis_url
        self._redis: Any = None
        self._asking = asyncio.Lock()
        self._away_until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()
            self._redis = None

    async def take(self, name: str, cost: float = 1.0, *, patience_seconds: float = FOREVER) -> None:
        """Wait until so much may be spent; in turn, where others wait too. Raises Quiet."""
        while not (answer := await self.ask(name, cost, reserve=True)).taken:
            await self._be_patient(answer.quiet_seconds, patience_seconds)
        if answer.wait_seconds:
            await self._wait(answer.wait_seconds)
            while (quiet := self.quiet_seconds(name)) > 0:  # asked for while we waited
                await self._be_patient(quiet, patience_seconds)

    async def ask(self, name: str, cost: float = 1.0, *, reserve: bool = False) -> Answer:
        """Take it if it is there (``reserve``: also where it must be waited for); answers within a second."""
        account = self._accounts.get(name)
        if account is None:
            return Answer(taken=True, wait_seconds=0.0, quiet_seconds=0.0)
        if (quiet := self.quiet_seconds(name)) > 0:
            return Answer(taken=False, wait_seconds=quiet, quiet_seconds=quiet)
        answer = await self._ask_redis(account, cost, reserve)
        return answer or self._ask_share(account, cost, reserve)

    def quiet_seconds(self, name: str) -> float:
        """How much longer nothing may be asked, as far as is known here."""
        account = self._accounts.get(name)
        return 0.0 if account is None else max(0.0, account.quiet_until - self._monotonic())

    async def be_quiet(self, seconds: float, *names: str) -> None:
        """The exchange asked for quiet: in these limits, or in all. Every process hears of it."""
        accounts = [one for name, one in self._accounts.items() if not names or name in names]
        seconds = min(seconds, FOREVER)
        until = self._monotonic() + seconds
        for account in accounts:
            account.quiet_until = max(account.quiet_until, until)
        if accounts and seconds > 0:
            keys = [self._key(account, ":quiet") for account in accounts]
            await self._call(QUIET_SCRIPT, keys, round(seconds * 1e6))

    # --- Redis ---

    async def _ask_redis(self, account: _Account, cost: float, reserve: bool) -> Answer | None:
        limit, spent = account.limit, account.spent
        keys = [self._key(account), self._key(account, ":quiet")]
        known = min(limit.burst, account.level + spent)  # the charge takes it off again
        numbers = await self._call(
            SCRIPT, keys, limit.burst, limit.rate, cost, spent, known, 1 if reserve else 0
        )
        if numbers is None:
            return None
        taken, wait, quiet, level = numbers
        account.spent -= spent
        account.level = level / 1000
        if quiet:
            account.quiet_until = max(account.quiet_until, self._monotonic() + quiet / 1e6)
        if taken:
            account.own.note(cost, self._monotonic())
        return Answer(bool(taken), wait / 1e6, quiet / 1e6)

    def _ask_share(self, account: _Account, cost: float, reserve: bool) -> Answer:
        now = self._monotonic()
        wait = account.own.lacks(cost, now)
        if wait > 0 and not reserve:
            return Answer(taken=False, wait_seconds=wait, quiet_seconds=0.0)
        account.spent += cost
        return Answer(taken=True, wait_seconds=account.own.take(cost, now), quiet_seconds=0.0)

    async def _call(self, script: str, keys: list[str], *arguments: float) -> list[int] | None:
        """What the script says; None where Redis does not answer, and for a while after that."""
        if not self._redis_url or self._monotonic() < self._away_until:
            return None
        async with self._asking:
            if self._monotonic() < self._away_until:  # whoever asked before us found out
                return None
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    found = await self._client().eval(script, len(keys), *keys, *arguments)
                    _heed_cancellation()
            except (RedisError, OSError, TimeoutError, ValueError, TypeError) as error:
                _heed_cancellation()
                await self._note_away(error)
                return None
        self.shared = True
        return found if isinstance(found, list) else []

    def _client(self) -> Any:
        if self._redis is None:
            self._redis = redis.asyncio.Redis.from_url(
                self._redis_url,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                single_connection_client=True,
            )
        return self._redis

    async def _note_away(self, error: Exception) -> None:
        if self.shared or not self._away_until:
            log.warning(
                "Redis does not answer: the exchange's limits are kept by a share of our own.",
                exchange=self._exchange,
                error=str(error) or type(error).__name__,
            )
        self.shared = False
        self._away_until = self._monotonic() + AGAIN_SECONDS
        client, self._redis = self._redis, None
        if client is not None:
            with suppress(RedisError, OSError):  # it is gone already
                await client.aclose()

    def _key(self, account: _Account, suffix: str = "") -> str:
        return f"budget:{self._exchange}:{account.limit.name}{suffix}"

    async def _be_patient(self, quiet: float, patience_seconds: float) -> None:
        if quiet > patience_seconds:
            raise Quiet(quiet)
        await self._wait(quiet)

    async def _wait(self, seconds: float) -> None:
        self.waited_seconds += seconds
        await asyncio.sleep(seconds)


def _heed_cancellation() -> None:
    """The client takes a cancellation while it connects for a failure, and goes on."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
