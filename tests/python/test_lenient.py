"""What others send a little differently is taken all the same."""

import time

import msgpack

from standard import Req, check_shape, subscribed


def CLUSTER(cluster):
    cluster.up(1)
    with Req(cluster) as req:
        req.ask("login", user="ana")
        req.ask("channel", channel="geral")


def test_every_kind_of_timestamp(cluster):
    now = time.time()
    kinds = [
        int(now),
        int(now * 1000),
        now,
        now * 1000.0,
        -1,
        0,
        2**63,
        1e300,
        float("nan"),
        "2024-05-01T12:00:00Z",
        "01/05/2024 12:00",
        "",
        b"\xff\xfe",
        None,
        True,
        [1],
        {"seconds": 1},
    ]
    with Req(cluster) as req, subscribed(cluster, req, "ana", "geral", "geral") as sub:
        for number, kind in enumerate(kinds):
            text = f"kind {number}"
            found = req.ask(
                "publish", user="ana", channel="geral", message=text, timestamp=kind
            )
            assert found["status"] == "OK", (kind, found)
            data = sub.until(lambda event: event[2]["message"] == text)[-1][2]
            assert abs(data["timestamp"] - now * 1000) < 60_000, "the server's time counts"


def ask(req, body):
    reply = req.raw(msgpack.packb(body))
    check_shape(reply, "publish")
    return reply["data"]


def publication(**more):
    return {"user": "ana", "channel": "geral", "message": "oi", **more}


def test_missing_timestamp_and_clock(cluster):
    with Req(cluster) as req:
        assert ask(req, {"service": "publish", "data": publication()})["status"] == "OK"
        found = ask(req, {"service": "publish", "data": publication(timestamp=1)})
        assert found["status"] == "OK", found


def test_unknown_keys_are_passed_over(cluster):
    extra = publication(clock=1, colour="blue", deep={"a": [1, {"b": None}]})
    with Req(cluster) as req:
        found = ask(req, {"service": "publish", "data": extra, "version": 3})
        assert found["status"] == "OK", found


def test_strings_as_bin(cluster):
    data = {"user": b"ana", "channel": b"geral", "message": "olá".encode(), "clock": 3}
    with Req(cluster) as req, subscribed(cluster, req, "ana", "geral", "geral") as sub:
        assert ask(req, {"service": b"publish", "data": data})["status"] == "OK"
        data = sub.until(lambda event: event[2]["message"] == "olá")[-1][2]
        assert data["user"] == "ana"


def test_clocks_of_every_width(cluster):
    with Req(cluster) as req:
        for clock in (0, 1, 200, 70_000, 2**33, -5, 7.0, "12", None):
            found = ask(req, {"service": "publish", "data": publication(clock=clock)})
            assert found["status"] == "OK", (clock, found)


def test_the_clock_follows_the_largest(cluster):
    with Req(cluster) as req:
        found = ask(req, {"service": "publish", "data": publication(clock=1_000_000)})
        assert found["clock"] > 1_000_000, found


def test_integers_in_needless_width(cluster):
    wide = b"\xcf" + (5).to_bytes(8, "big")
    head = msgpack.packb({"service": "publish"})[1:]
    body = publication()
    data = b"\x85" + msgpack.packb(body)[1:]
    data += msgpack.packb("clock") + wide + msgpack.packb("timestamp") + wide
    with Req(cluster) as req:
        reply = req.raw(b"\x82" + head + msgpack.packb("data") + data)
        assert reply["data"]["status"] == "OK", reply
