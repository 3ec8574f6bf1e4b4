"""Plain standard clients: a REQ and a SUB socket, and nothing that is not in the standard."""

import time

import msgpack
import zmq

# The broker answers every request within 5 s; this is what a client waits that knows no more.
ANSWER_S = 10
EVENT_S = 5

context = zmq.Context.instance()


class Req:
    """A REQ socket to the broker."""

    def __init__(self, cluster, offset=0):
        self.endpoint = cluster.endpoint(offset)
        self.clock = 0
        self.open()

    def open(self):
        self.socket = context.socket(zmq.REQ)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(self.endpoint)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def raw(self, body, within_s=ANSWER_S):
        """Sends these bytes and returns the decoded answer."""
        self.socket.send(body)
        if not self.socket.poll(int(within_s * 1000)):
            self.close()
            self.open()
            raise AssertionError(f"no answer within {within_s} s to {body[:60]!r}")
        frames = self.socket.recv_multipart()
        assert len(frames) == 1, f"one body frame is the rule, not {len(frames)}"
        return msgpack.unpackb(frames[0])

    def ask(self, service, within_s=ANSWER_S, **data):
        """Asks as the standard says, and returns the reply's data."""
        self.clock += 1
        data.setdefault("timestamp", int(time.time() * 1000))
        data.setdefault("clock", self.clock)
        reply = self.raw(msgpack.packb({"service": service, "data": data}), within_s)
        check_shape(reply, service)
        found = reply["data"]
        assert found["clock"] > self.clock, "the reply's clock is behind the request's"
        self.clock = max(self.clock, found["clock"]) + 1
        return found

    def ask_until_done(self, service, within_s=30, **data):
        """Asks again while the cluster says that it can't now."""
        deadline = time.monotonic() + within_s
        while True:
            found = self.ask(service, **data)
            if found.get("code") not in ("unavailable", "unknown"):
                return found
            assert time.monotonic() < deadline, f"{service} is refused for {within_s} s: {found}"


def check_shape(reply, service):
    assert set(reply) == {"service", "data"}, reply
    assert reply["service"] == service, reply
    assert isinstance(reply["data"]["timestamp"], int), reply
    assert isinstance(reply["data"]["clock"], int), reply


class Sub:
    """A SUB socket to the proxy."""

    def __init__(self, cluster, *topics, offset=3, reconnect_ms=None):
        self.socket = context.socket(zmq.SUB)
        if reconnect_ms is not None:
            # libzmq waits so long and up to twice as long before it connects again.
            self.socket.setsockopt(zmq.RECONNECT_IVL, reconnect_ms)
        self.socket.setsockopt(zmq.LINGER, 0)
        for topic in topics:
            self.socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        self.socket.connect(cluster.endpoint(offset))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self, within_s=EVENT_S):
        """The next event as (topic, service, data), or None."""
        if not self.socket.poll(int(within_s * 1000)):
            return None
        frames = self.socket.recv_multipart()
        assert len(frames) == 2, f"topic and body are the rule, not {len(frames)} frames"
        body = msgpack.unpackb(frames[1])
        assert set(body) == {"service", "data"}, body
        return frames[0].decode(), body["service"], body["data"]

    def until(self, wanted, within_s=EVENT_S):
        """Reads events until one is wanted; returns it with all that came before it."""
        deadline = time.monotonic() + within_s
        seen = []
        while True:
            event = self.next(max(0.0, deadline - time.monotonic()))
            assert event is not None, f"the event did not come within {within_s} s; came: {seen}"
            seen.append(event)
            if wanted(event):
                return seen


def subscribed(cluster, req, user, channel, *topics):
    """A SUB that surely receives: a subscription takes effect some time after it was made, so
    messages are published until one arrives."""
    sub = Sub(cluster, *topics)
    for number in range(200):
        text = f"are you there {number}"
        found = req.ask("publish", user=user, channel=channel, message=text)
        assert found["status"] == "OK", found
        if sub.next(0.1):
            while sub.next(0.3):
                pass
            return sub
    raise AssertionError("nothing that is published arrives")
