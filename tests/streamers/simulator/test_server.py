"""The process as a whole: sockets, control, signals, a kill in mid-flow."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

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
