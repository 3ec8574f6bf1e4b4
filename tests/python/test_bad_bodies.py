"""Whatever a well-framed body holds, a REQ client gets an `erro` with a code, and soon."""

import os
import socket

import msgpack

from standard import Req

ANSWER_S = 3
MIB = 1024 * 1024


def CLUSTER(cluster):
    cluster.up(1)
    with Req(cluster) as req:
        req.ask("login", user="ana")
        req.ask("channel", channel="geral")


def packed(service, **data):
    return msgpack.packb({"service": service, "data": data})


GOOD = packed("publish", user="ana", channel="geral", message="oi", timestamp=1, clock=1)

BODIES = {
    "nothing": b"",
    "one byte": b"\xc1",
    "nil": b"\xc0",
    "a number": b"\x05",
    "a string": msgpack.packb("login"),
    "an array": msgpack.packb(["login", {"user": "ana"}]),
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "JSON": b'{"service": "login", "data": {"user": "ana"}}',
    "random bytes": os.urandom(5000),
    "an empty map": b"\x80",
    "no service": msgpack.packb({"data": {"user": "ana"}}),
    "no data where some is needed": msgpack.packb({"service": "login"}),
    "service is a number": msgpack.packb({"service": 7, "data": {}}),
    "service is a map": msgpack.packb({"service": {}, "data": {}}),
    "data is a list": msgpack.packb({"service": "login", "data": ["ana"]}),
    "data is a string": msgpack.packb({"service": "login", "data": "ana"}),
    "user is missing": packed("login"),
    "user is a number": packed("login", user=5),
    "user is nil": packed("login", user=None),
    "user is a list": packed("login", user=["ana"]),
    "user is no UTF-8": packed("login", user=b"\xff\xfe"),
    "user of 0 characters": packed("login", user=""),
    "user of 10^6 characters": packed("login", user="x" * 1_000_000),
    "channel of 10^6 characters": packed("channel", channel="x" * 1_000_000),
    "message is missing": packed("publish", user="ana", channel="geral"),
    "message is a number": packed("publish", user="ana", channel="geral", message=5),
    "message over the limit": packed(
        "publish", user="ana", channel="geral", message="x" * (64 * 1024 + 1)
    ),
    "4 MiB of message": packed(
        "publish", user="ana", channel="geral", message="x" * (4 * MIB - 200)
    ),
    "4 MiB of zeros": bytes(4 * MIB),
    "cut short": GOOD[:-1],
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "bytes behind the end": GOOD + b"\x00",
    "nested arrays": msgpack.packb("x").join([b"\x91" * 100_000, b""]),
    "nested maps": b"\x81\xa4data" * 100_000 + b"\x80",
    "deep data": b"\x82\xa7service\xa5login\xa4data\x81\xa4user" + b"\x91" * 1_000_000,
    "a string of 4 GiB is claimed": b"\x82\xa7service\xdb\xff\xff\xff\xff",
    "an array of 4 Gi entries is claimed": b"\xdd\xff\xff\xff\xff",
    "a map of 4 Gi entries is claimed": b"\xdf\xff\xff\xff\xff",
    "a bin of 4 GiB is claimed": b"\x82\xa7service\xa5login\xa4data\x81\xa4user\xc6\xff\xff\xff\xff",
    "an unknown service": packed("dance", user="ana"),
    "a service of the log": packed("replicate_login", user="ana"),
    "a service of 10^6 characters": packed("x" * 1_000_000),
}


def test_every_bad_body_gets_a_code(cluster):
    wrong = []
    with Req(cluster) as req:
        for name, body in BODIES.items():
            try:
                reply = req.raw(body, ANSWER_S)
                data = reply["data"]
                if data.get("status") != "erro" or not isinstance(data.get("code"), str):
                    wrong.append(f"{name}: {str(reply)[:200]}")
                if not (data.get("description") or data.get("message")):
                    wrong.append(f"{name}: no words for people in {str(reply)[:200]}")
            except AssertionError as why:
                wrong.append(f"{name}: {why}")
    assert not wrong, "\n".join(wrong)


def test_bad_bodies_have_no_effect(cluster):
    with Req(cluster) as req:
        for body in BODIES.values():
            req.raw(body, ANSWER_S)
        assert req.ask("users")["users"] == ["ana"]
        assert req.ask("channels")["channels"] == ["geral"]


def test_honest_clients_go_on(cluster):
    with Req(cluster) as bad, Req(cluster) as good:
        for body in BODIES.values():
            bad.raw(body, ANSWER_S)
            found = good.ask("publish", user="ana", channel="geral", message="oi")
            assert found["status"] == "OK", found


def test_what_is_no_zeromq_is_closed(cluster):
    for offset in (0, 1, 2, 3, 4, 5):
        address = ("127.0.0.1", cluster.base + offset)
        with socket.create_connection(address, timeout=5) as other:
            other.sendall(b"GET / HTTP/1.1\r\nHost: recado\r\n\r\n" + os.urandom(200))
            other.settimeout(20)
            try:
                while other.recv(4096):
                    pass
            except ConnectionError:
                pass
    with Req(cluster) as req:
        assert req.ask("login", user="ana")["status"] == "sucesso"


def test_memory_stays_bounded(cluster):
    def resident_kib():
        total = 0
        for member in cluster.status()["members"]:
            with open(f"/proc/{member['pid']}/status") as status:
                total += int(next(l for l in status if l.startswith("VmRSS")).split()[1])
        return total

    with Req(cluster) as req:
        before = resident_kib()
        for _ in range(3):
            for body in BODIES.values():
                req.raw(body, ANSWER_S)
        grown = resident_kib() - before
    assert grown < 50 * 1024, f"{grown} KiB more than before"
