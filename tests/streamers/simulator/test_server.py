"""The process as a whole: sockets, control, signals, a kill in mid-flow."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.streamers.simulator.past import summed, told
from tests.streamers.simulator.serving import Process, simulator


async def hear(session: Any, url: str, request: Any, count: int) -> Any:
    """Say one thing, hear so many texts."""
    async with session.ws_connect(url) as ws:
        await ws.send_json(request)
        return [json.loads((await ws.receive()).data) for _ in range(count)]


SUBSCRIBE = {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1}


async def test_three_exchanges_speak_and_can_be_paused(tmp_path: Path) -> None:
    with simulator(tmp_path, "--rate", "20") as process:
        urls = process.ready()["urls"]
        assert sorted(urls) == ["binance_spot", "binance_usdm", "deribit"]
        async with aiohttp.ClientSession() as session:
            deribit = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "public/subscribe",
                "params": {"channels": ["trades.BTC-PERPETUAL.100ms"]},
            }
            heard = await asyncio.gather(
                hear(session, urls["binance_spot"]["websocket"] + "/stream", SUBSCRIBE, 20),
                hear(session, urls["binance_usdm"]["websocket"] + "/public/ws", SUBSCRIBE, 20),
                hear(session, urls["deribit"]["websocket"] + "/ws/api/v2", deribit, 5),
            )
            assert [texts[0]["id"] for texts in heard] == [1, 1, 1]
            rest = urls["binance_spot"]["rest"]
            async with session.ws_connect(urls["binance_spot"]["websocket"] + "/ws/btcusdt@trade") as ws:
                seen = json.loads((await ws.receive()).data)["t"]
                async with session.post(rest + "/simulator/pause") as answer:
                    state = await answer.json()
                assert state["paused"]
                last = state["emitted"]["BTCUSDT"]
                while seen != last:
                    seen = json.loads((await ws.receive()).data)["t"]
                async with session.get(rest + "/simulator/state") as answer:
                    assert (await answer.json())["emitted"] == state["emitted"]
                await ws.ping(b"still there")
                async with session.get(rest + "/api/v3/time") as answer:
                    assert answer.status == 200
        lines = (tmp_path / "ledger" / "binance_spot.jsonl").read_bytes().splitlines()
        sequences = [e["sequence"] for line in lines if (e := json.loads(line)).get("symbol") == "BTCUSDT"]
        assert sequences[-1] == last
        assert process.stop() == 0
    assert not process.run_file.exists()


async def test_a_killed_process_comes_back_on_its_ports_and_continues(tmp_path: Path) -> None:
    first = Process(tmp_path, "--exchange", "binance_spot", "--rate", "20")
    urls = first.ready()["urls"]
    async with aiohttp.ClientSession() as session:
        before = await hear(session, urls["binance_spot"]["websocket"] + "/stream", SUBSCRIBE, 100)
        first.kill()
        with simulator(tmp_path, "--exchange", "binance_spot", "--rate", "20") as second:
            assert second.ready()["urls"] == urls
            after = await hear(session, urls["binance_spot"]["websocket"] + "/stream", SUBSCRIBE, 100)
            heard = [m["data"]["t"] for m in before + after if m.get("stream") == "btcusdt@trade"]
            query = {"symbol": "BTCUSDT", "fromId": heard[0], "limit": 1000}
            async with session.get(
                urls["binance_spot"]["rest"] + "/api/v3/historicalTrades", params=query
            ) as answer:
                rows = [row["id"] for row in await answer.json()]
            assert rows == list(range(rows[0], rows[0] + len(rows)))
            assert set(heard) <= set(rows)
    lines = (tmp_path / "ledger" / "binance_spot.jsonl").read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    sequences = [e["sequence"] for e in entries if e["kind"] == "trade" and e["symbol"] == "BTCUSDT"]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


async def test_the_ports_outlive_a_clean_exit(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_spot") as first:
        urls = first.ready()["urls"]
    assert not first.run_file.exists()
    with simulator(tmp_path, "--exchange", "binance_spot", "deribit") as second:
        assert second.ready()["urls"]["binance_spot"] == urls["binance_spot"]


async def test_a_port_that_was_taken_meanwhile_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "ledger").mkdir()
        (tmp_path / "ledger" / "ports.json").write_text(json.dumps({"deribit": port}))
        process = Process(tmp_path, "--exchange", "deribit")
        assert not process.ready()["urls"]["deribit"]["rest"].endswith(f":{port}")
        process.process.terminate()
        _, said = process.process.communicate(timeout=30)
    assert "the port of the earlier life is not free" in said


async def test_the_close_code_that_was_sent_is_logged(tmp_path: Path) -> None:
    process = Process(tmp_path, "--exchange", "binance_spot")
    url = process.ready()["urls"]["binance_spot"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url["websocket"] + "/ws") as ws:
        await session.post(url["rest"] + "/simulator/fault", json={"fault": "close", "code": 1012})
        assert (await ws.receive()).data == 1012
    process.process.terminate()
    _, said = process.process.communicate(timeout=30)
    gone = [line for line in said.splitlines() if "client gone" in line]
    assert len(gone) == 1
    assert "1012" in gone[0]


async def test_pings_with_payload_and_closes_reach_the_client(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_spot", "--time-scale", "0.01") as process:
        urls = process.ready()["urls"]["binance_spot"]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(urls["websocket"] + "/ws", autoping=False) as ws,
        ):
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.PING
            assert bytes(message.data).isdigit()
            for _ in range(7):
                await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            while message.type is not aiohttp.WSMsgType.CLOSE:
                message = await ws.receive()
                assert message.type in (
                    aiohttp.WSMsgType.TEXT,
                    aiohttp.WSMsgType.PING,
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                )
            assert message.data == 1008


async def test_faults_can_be_asked_for_while_it_runs(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_spot") as process:
        urls = process.ready()["urls"]["binance_spot"]
        async with aiohttp.ClientSession() as session, session.ws_connect(urls["websocket"] + "/ws") as ws:
            async with session.post(
                urls["rest"] + "/simulator/fault", json={"fault": "close", "code": 1012}
            ) as answer:
                assert answer.status == 200
            message = await ws.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
            async with session.post(urls["rest"] + "/simulator/fault", json={"fault": "?"}) as answer:
                assert answer.status == 400


async def inflict(session: Any, rest: str, **fields: Any) -> Any:
    async with session.post(rest + "/simulator/fault", json=fields) as answer:
        return answer.status, await answer.json()


async def effects(session: Any, rest: str) -> Any:
    async with session.get(rest + "/simulator/state") as answer:
        return (await answer.json())["faults"]


async def test_faults_on_the_wire(tmp_path: Path) -> None:
    """What only a real socket can show: fragments, ten megabytes, bytes that are no HTTP."""
    with simulator(tmp_path, "--exchange", "binance_spot", "--rate", "20") as process:
        urls = process.ready()["urls"]["binance_spot"]
        rest, url = urls["rest"], urls["websocket"] + "/stream"
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, max_msg_size=0) as ws:
                await ws.send_json(SUBSCRIBE)
                assert json.loads((await ws.receive()).data) == {"result": None, "id": 1}
                await inflict(session, rest, fault="split", count=5)
                await inflict(session, rest, fault="huge")
                await inflict(session, rest, fault="malformed", count=3)
                heard: list[str] = []
                broken = 0
                while broken < 3 or (await effects(session, rest))["split"] < 5:
                    heard += [(await ws.receive()).data for _ in range(50)]
                    broken = sum(not is_json(text) for text in heard)
                while max(map(len, heard)) < 9_000_000:
                    heard.append((await ws.receive()).data)
            numbers = [
                one["t"] for text in heard if is_json(text) and (one := json.loads(text)["data"]).get("t")
            ]
            assert len(set(numbers)) == len(numbers) > 30, "fragmented ones are whole"
            await inflict(session, rest, fault="tls_error", seconds=30)
            with pytest.raises(aiohttp.ClientError):
                await until_refused(session, url)
            happened = await effects(session, rest)
            assert (happened["split"], happened["huge"], happened["malformed"]) == (5, 1, 3)
            assert happened["tls_error"] == 1


async def test_refusals_and_closes_on_the_wire(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "deribit") as process:
        urls = process.ready()["urls"]["deribit"]
        rest, url = urls["rest"], urls["websocket"] + "/ws/api/v2"
        async with aiohttp.ClientSession() as session:
            await inflict(session, rest, fault="accept_close", seconds=30)
            message = await until_closed(session, url)
            assert message.data == 1000
            await inflict(session, rest, fault="refuse", seconds=30, status=429, retry_after=9)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await until_refused(session, url)
            assert refused.value.status == 429
            assert refused.value.headers is not None
            assert refused.value.headers["Retry-After"] == "9"
            happened = await effects(session, rest)
            assert happened["accept_close"] >= 1
            assert happened["refuse"] == 1


async def test_a_slow_server_is_slow_and_a_fault_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_spot") as process:
        rest = process.ready()["urls"]["binance_spot"]["rest"]
        async with aiohttp.ClientSession() as session:
            for fields in ({"fault": "settlement"}, {"fault": "close", "exchange": "deribit"}):
                status, said = await inflict(session, rest, **fields)
                assert status == 400
                assert said["error"].endswith(".")
            await inflict(session, rest, fault="slow", seconds=30, delay=0.01)
            while not (await effects(session, rest))["slow"]:
                async with session.get(rest + "/api/v3/time") as answer:
                    assert answer.status == 200


async def test_the_archive_is_served(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_usdm", "deribit") as process:
        urls = process.ready()["urls"]
        rest = urls["binance_usdm"]["rest"]
        async with aiohttp.ClientSession() as session:
            async with session.get(rest + "/simulator/state") as answer:
                day = f"{datetime.fromtimestamp((await answer.json())['market'] / 1e6, UTC):%Y-%m-%d}"
            path = f"/archive/data/futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-{day}.zip"
            async with session.get(rest + path) as answer:
                data = await answer.read()
            async with session.get(rest + path + ".CHECKSUM") as answer:
                assert (await answer.text()).split()[0] == hashlib.sha256(data).hexdigest()
            async with session.get(urls["deribit"]["rest"] + path) as answer:
                assert answer.status == 404


async def test_the_past_is_served_and_told(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "binance_spot", "--history", "2", "--seed", "3") as process:
        rest = process.ready()["urls"]["binance_spot"]["rest"]
        async with aiohttp.ClientSession() as session:
            async with session.get(rest + "/simulator/state") as answer:
                market = (await answer.json())["market"] / 1e6
            day = datetime.fromtimestamp(market - 86_400, UTC).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            trades: list[Any] = []
            query = {"symbol": "ETHUSDT", "startTime": int(day.timestamp() * 1000), "limit": 1000}
            async with session.get(rest + "/api/v3/aggTrades", params=query) as answer:
                query = {"symbol": "ETHUSDT", "fromId": (await answer.json())[0]["f"], "limit": 1000}
            while not trades or trades[-1]["time"] < (day.timestamp() + 86_400) * 1000:
                async with session.get(rest + "/api/v3/historicalTrades", params=query) as answer:
                    trades += await answer.json()
                query["fromId"] = trades[-1]["id"] + 1
            rows = [
                (t["id"], t["price"], t["qty"], "sell" if t["isBuyerMaker"] else "buy", t["time"] * 1000)
                for t in trades
                if t["time"] < (day.timestamp() + 86_400) * 1000
            ]
            said = await asyncio.to_thread(told, rest, "ETHUSDT", f"{day:%Y-%m-%d}")
            assert said == summed(rows)
            assert said.count > 1000
            async with session.get(rest + "/simulator/history?symbol=NOPE&day=x") as answer:
                assert answer.status == 400
                assert "lists no NOPE" in (await answer.json())["error"]


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def until_refused(session: Any, url: str) -> None:
    """The fault strikes at the next tick: a handshake or two may still succeed."""
    while True:
        async with session.ws_connect(url):
            pass


async def until_closed(session: Any, url: str) -> Any:
    while True:
        async with session.ws_connect(url) as ws:
            try:
                return await ws.receive(timeout=1.0)
            except TimeoutError:
                continue


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")
async def test_tls(tmp_path: Path) -> None:
    with simulator(tmp_path, "--exchange", "deribit", "--tls") as process:
        urls = process.ready()["urls"]["deribit"]
        assert urls["rest"].startswith("https://")
        trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
            async with session.get(urls["rest"] + "/api/v2/public/test") as answer:
                assert (await answer.json())["result"] == {"version": "1.2.26"}
            async with session.post(
                urls["rest"] + "/api/v2/public/get_index_price", json={"params": {"index_name": "btc_usd"}}
            ) as answer:
                assert (await answer.json())["result"]["index_price"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--exchange", "binance_spot", "--port-base"], "is in use"),
        (["--faults", "absent.toml"], "absent.toml cannot be read"),
        (["--faults", "config/instruments.toml"], "config/instruments.toml holds no fault"),
        (["--capture", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--describe", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--exchange", "mtgox"], "invalid choice"),
        (["--history", "x"], "is not a number of days from 0 to"),
        (["--history-rate", "0"], "is not a whole number from 1 to"),
        (["--history", "3000", "--history-rate", "500000"], "take fewer days"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if arguments[-1] == "--port-base":
            arguments = [*arguments, str(taken.getsockname()[1])]
        process = Process(tmp_path, *arguments)
        try:
            _, said = process.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.process.returncode == 2
    assert sentence in said
    assert "Traceback" not in said
