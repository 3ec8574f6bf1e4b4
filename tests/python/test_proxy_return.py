"""The proxy is stopped under load, killed and started again: plain subscribers miss nothing."""

import signal
import threading
import time

from cluster import eventually
from standard import Req, Sub
from test_failover import Publisher

CLIENTS = 2
BEFORE_S = 1
STOPPED_S = 2.6
AFTER_S = 1
# The last events pass again 5.25 s after the start.
DELIVERED_S = 10
# libzmq connects again after once to twice this time.
RECONNECT_MS = {"at once": 100, "late": 2400}


def CLUSTER(cluster):
    cluster.start("broker")
    cluster.proxy = cluster.start("proxy")
    cluster.start("reference")
    cluster.start("server", "--name", "server-1", "--port", str(cluster.base + 5))
    cluster.wait_for_servers(1)


class Listener(threading.Thread):
    """Keeps the texts of all events, as often as they come, each with its time."""

    def __init__(self, sub, ended):
        super().__init__()
        self.sub, self.ended, self.texts = sub, ended, []

    def run(self):
        while not self.ended.is_set():
            event = self.sub.next(0.1)
            if event:
                self.texts.append(event[2]["message"])


def test_subscribers_that_come_back_late_miss_nothing(cluster):
    ended, heard = threading.Event(), threading.Event()
    subs = {name: Sub(cluster, "geral", reconnect_ms=ms) for name, ms in RECONNECT_MS.items()}
    listeners = {name: Listener(sub, heard) for name, sub in subs.items()}
    publishers = [Publisher(cluster, number, ended) for number in range(CLIENTS)]
    with Req(cluster) as req:
        req.ask_until_done("login", user="ana")
        req.ask_until_done("channel", channel="geral")
        for listener in listeners.values():
            listener.start()
        knocks = lambda: req.ask("publish", user="ana", channel="geral", message="knock")
        for listener in listeners.values():
            eventually("both hear", lambda: knocks() and listener.texts, 10)
    try:
        for publisher in publishers:
            publisher.start()
        time.sleep(BEFORE_S)
        cluster.proxy.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        cluster.proxy.kill()
        cluster.proxy.wait()
        cluster.proxy = cluster.start("proxy")
        time.sleep(AFTER_S)
    finally:
        ended.set()
        for publisher in publishers:
            publisher.join()
    try:
        for publisher in publishers:
            assert publisher.failure is None and not publisher.refused, publisher.failure
        acked = {text for publisher in publishers for text in publisher.acked}
        for name, listener in listeners.items():
            missing = lambda: acked - set(listener.texts)
            eventually(f"the one back {name} has all", lambda: not missing(), DELIVERED_S)
        for name, listener in listeners.items():
            repeated = len(listener.texts) - len(set(listener.texts))
            print(f"       {len(acked)} events, to the one back {name}: {repeated} repeated")
    finally:
        heard.set()
        for name, listener in listeners.items():
            listener.join()
            subs[name].socket.close()
