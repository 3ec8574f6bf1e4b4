"""`broker --plain`: the standard's byte pump, with a standard server and with ours behind it."""

import threading

import msgpack
import zmq

from cluster import Cluster, eventually
from standard import Req, context, subscribed


def CLUSTER(cluster):
    cluster.start("broker", "--plain")


class StandardServer:
    """A REP server as the standard has it: connects to the broker's second port and answers."""

    def __init__(self, cluster, name):
        self.name = name
        self.endpoint = cluster.endpoint(1)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def serve(self):
        socket = context.socket(zmq.REP)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(self.endpoint)
        while not self.ended.is_set():
            if socket.poll(50):
                request = msgpack.unpackb(socket.recv())
                data = {
                    "status": "sucesso",
                    "timestamp": 1,
                    "clock": request["data"]["clock"] + 1,
                    "by": self.name,
                }
                socket.send(msgpack.packb({"service": request["service"], "data": data}))
        socket.close()


def test_a_standard_rep_server_serves_a_standard_req_client(cluster):
    with StandardServer(cluster, "python"), Req(cluster) as req:
        for number in range(20):
            found = req.ask("login", user=f"u{number}")
            assert (found["status"], found["by"]) == ("sucesso", "python"), found


def test_two_standard_servers_take_turns(cluster):
    with StandardServer(cluster, "one"), StandardServer(cluster, "two"), Req(cluster) as req:
        answered = set()

        def both():
            answered.add(req.ask("login", user="x")["by"])
            return len(answered) == 2

        eventually("both servers answer", both, 10)


def test_our_servers_behind_the_pump(cluster):
    with Cluster(cluster.binary) as ours:
        ours.single_roles("--plain")
        with Req(ours) as req:
            assert req.ask_until_done("login", user="ana")["status"] == "sucesso"
            assert req.ask_until_done("channel", channel="geral")["status"] == "sucesso"
            with subscribed(ours, req, "ana", "geral", "geral") as sub:
                for number in range(30):
                    text = f"n{number}"
                    found = req.ask("publish", user="ana", channel="geral", message=text)
                    assert found["status"] == "OK", found
                seen = sub.until(lambda event: event[2]["message"] == "n29", 10)
                assert len(seen) == 30, f"each message once, not {len(seen)} events"
            assert req.ask("users")["users"] == ["ana"]
