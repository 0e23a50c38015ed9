from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from trade_platform.adapters.budget import Budget
from trade_platform.adapters.rest import RestClient, RestUnavailable, _in_words
from trade_platform.exchanges.account import PrivateRequest
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.session import Request, RestError

LIMITS = (Limit(WEIGHT, 60_000, 60), Limit(CONNECTIONS, 300, 300))


def error_of(status: int, body: bytes) -> RestError | None:
    return RestError(-1121, "Invalid symbol.", retry=False) if b"-1121" in body else None


def client(url: str, timeout: aiohttp.ClientTimeout | None = None) -> RestClient:
    options = {} if timeout is None else {"timeout": timeout}
    return RestClient(url, name="fictional", error_of=error_of, budget=Budget("fictional", LIMITS), **options)


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=request.query_string)

    async def raw(request: web.Request) -> web.Response:
        return web.Response(text=request.raw_path.partition("?")[2])

    async def key(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("X-Key", ""))

    async def refuse(request: web.Request) -> web.Response:
        headers = {"Retry-After": request.query["after"]} if "after" in request.query else {}
        return web.Response(
            status=int(request.query["status"]), text=request.query.get("text", ""), headers=headers
        )

    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def hang(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(request)
        await answer.write(b"12345")
        await request.content.read()
        import asyncio

        await asyncio.Event().wait()
        return answer

    app = web.Application()
    app.add_routes(
        [
            web.get("/echo", echo),
            web.get("/key", key),
            web.get("/raw", raw),
            web.get("/refuse", refuse),
            web.get("/drop", drop),
            web.get("/hang", hang),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_good_answer_is_its_body(server: str) -> None:
    async with client(server) as rest:
        assert (
            await rest.fetch(Request(path="/echo", query={"symbol": "A/B", "limit": 5}))
            == b"symbol=A/B&limit=5"
        )


async def test_the_exchanges_own_error_is_raised(server: str) -> None:
    async with client(server) as rest:
        with pytest.raises(RestError, match="-1121") as caught:
            await rest.fetch(Request(path="/refuse", query={"status": 400, "text": "-1121"}))
        assert not caught.value.retry


@pytest.mark.parametrize(("status", "retry"), [(500, True), (503, True), (429, True), (404, False)])
async def test_a_status_that_the_exchange_does_not_explain_is_an_error_all_the_same(
    server: str, status: int, retry: bool
) -> None:
    async with client(server) as rest:
        with pytest.raises(RestError) as caught:
            await rest.fetch(Request(path="/refuse", query={"status": status}))
        assert caught.value.retry is retry


async def test_retry_after_keeps_everything_quiet(server: str) -> None:
    async with client(server) as rest:
        with pytest.raises(RestError):
            await rest.fetch(Request(path="/refuse", query={"status": 429, "after": 33}))
        assert 32 < rest.budget.quiet_seconds(WEIGHT) <= 33
        assert not rest.budget.quiet_seconds(CONNECTIONS)


async def test_a_ban_without_a_time_keeps_quiet_long(server: str) -> None:
    async with client(server) as rest:
        with pytest.raises(RestError):
            await rest.fetch(Request(path="/refuse", query={"status": 418, "after": "soon"}))
        assert rest.budget.quiet_seconds(WEIGHT) > 60
        assert rest.budget.quiet_seconds(CONNECTIONS) > 60  # the whole address is shut out


async def test_no_answer_is_a_sentence_without_a_traceback(server: str) -> None:
    async with client("http://127.0.0.1:9") as rest:
        with pytest.raises(RestUnavailable, match=r"fictional: /echo at .* gave no answer \(.*refused.*\)\."):
            await rest.fetch(Request(path="/echo"))
    async with client(server) as rest:
        with pytest.raises(RestUnavailable, match="gave no answer"):
            await rest.fetch(Request(path="/drop"))
        assert (rest.requests, rest.failures) == (1, 1)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError(None, "Could not contact DNS servers"), "Could not contact DNS servers"),
        (OSError(errno.ECONNREFUSED, "long words"), "Connection refused"),
        (OSError("no number"), "no number"),
    ],
)
def test_a_name_that_is_not_found_is_said_as_such(error: OSError, said: str) -> None:
    """The resolver's numbers are below 0, and not those of the system."""
    key = ConnectionKey("nowhere.invalid", 443, True, True, None, None, None)
    assert _in_words(aiohttp.ClientConnectorError(key, error)) == said


async def test_an_answer_that_stops_half_way_ends_in_time(server: str) -> None:
    async with client(server, aiohttp.ClientTimeout(sock_read=0.05)) as rest:
        with pytest.raises(RestUnavailable, match="gave no answer"):
            await rest.fetch(Request(path="/hang"))


async def test_a_long_quiet_is_said_and_not_slept(server: str) -> None:
    async with client(server) as rest:
        await rest.budget.be_quiet(3600)
        with pytest.raises(RestUnavailable, match=r"fictional asked for quiet until \d{4}-.* UTC\."):
            await rest.fetch(Request(path="/echo"))
        assert rest.requests == 0


async def test_a_private_request_is_sent_as_it_was_signed(server: str) -> None:
    """Letter by letter: what an exchange signs is the encoded text."""
    query = {"symbol": "A/B +é", "signature": "a+b/c="}
    async with client(server) as rest:
        sent = await rest.fetch(PrivateRequest(path="/raw", query=query))
    assert sent.decode() == "symbol=A%2FB%20%2B%C3%A9&signature=a%2Bb%2Fc%3D"


async def test_headers_are_sent(server: str) -> None:
    async with client(server) as rest:
        sent = await rest.fetch(PrivateRequest(path="/key", headers={"X-Key": "mine"}))
    assert sent == b"mine"


async def test_what_is_prepared_is_prepared_once_there_is_room(server: str) -> None:
    """A signature that waits for its turn grows old."""
    prepared: list[float] = []
    async with client(server) as rest:

        async def prepare() -> Request:
            prepared.append(rest.budget.waited_seconds)
            return Request(path="/echo", query={"made": "late"})

        await rest.budget.be_quiet(0.05, WEIGHT)
        assert await rest.fetch(Request(path="/none"), prepare) == b"made=late"
    assert prepared[0] > 0


async def test_the_library_s_own_error_does_not_go_along_with_a_private_one() -> None:
    async with client("http://127.0.0.1:9") as rest:
        with pytest.raises(RestUnavailable, match="Connection refused") as caught:
            await rest.fetch(PrivateRequest(path="/echo", query={"signature": "s3cret"}))
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)
