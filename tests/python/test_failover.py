"""The primary is killed while plain clients go on: every request gets an answer."""

import os
import signal
import threading
import time

from cluster import eventually
from standard import Req, Sub, subscribed

CLIENTS = 4
BEFORE_S = 1.5
AFTER_S = 6
GAP_LIMIT_S = 10


def CLUSTER(cluster):
    cluster.up(3)


class Publisher(threading.Thread):
    """Publishes one message after the other, each when the last one was answered."""

    def __init__(self, cluster, number, ended):
        super().__init__()
        self.cluster, self.number, self.ended = cluster, number, ended
        self.acked, self.refused, self.failure, self.times = [], [], None, []

    def run(self):
        try:
            with Req(self.cluster) as req:
                count = 0
                while not self.ended.is_set():
                    count += 1
                    text = f"{self.number}-{count}"
                    found = req.ask("publish", user="ana", channel="geral", message=text)
                    if found["status"] == "OK":
                        self.acked.append(text)
                        self.times.append(time.monotonic())
                    else:
                        assert found["status"] == "erro" and found["code"], found
                        self.refused.append((text, found["code"]))
        except Exception as why:  # Reported by the test, in the main thread.
            self.failure = why


class Listener(threading.Thread):
    """Keeps the texts of all events."""

    def __init__(self, sub, ended):
        super().__init__()
        self.sub, self.ended, self.texts = sub, ended, set()

    def run(self):
        while not self.ended.is_set():
            event = self.sub.next(0.1)
            if event:
                self.texts.add(event[2]["message"])


def test_requests_are_answered_through_a_kill_of_the_primary(cluster):
    ended, heard = threading.Event(), threading.Event()
    with Req(cluster) as req:
        req.ask_until_done("login", user="ana")
        req.ask_until_done("channel", channel="geral")
        sub = subscribed(cluster, req, "ana", "geral", "geral")
    elections = Sub(cluster, "servers")
    publishers = [Publisher(cluster, number, ended) for number in range(CLIENTS)]
    listener = Listener(sub, heard)
    with sub, elections:
        for thread in [listener, *publishers]:
            thread.start()
        try:
            time.sleep(BEFORE_S)
            killed = cluster.primary()
            assert killed, "no primary is shown"
            killed_at = time.monotonic()
            os.kill(killed["pid"], signal.SIGKILL)
            time.sleep(AFTER_S)
        finally:
            ended.set()
            for thread in publishers:
                thread.join()
        try:
            for publisher in publishers:
                assert publisher.failure is None, publisher.failure
            after = sorted(t for p in publishers for t in p.times if t > killed_at)
            assert after, "nothing was acknowledged after the kill"
            gap = max(later - earlier for earlier, later in zip([killed_at, *after], after))
            print(f"       longest time without an acknowledgement after the kill: {gap:.2f} s")
            assert gap < GAP_LIMIT_S
            acked = {text for publisher in publishers for text in publisher.acked}
            delivered = lambda: acked <= listener.texts
            eventually("every acknowledged message is delivered", delivered, 15)
        finally:
            heard.set()
            listener.join()
        seen = elections.until(lambda event: event[2]["coordinator"] != killed["name"])
        assert all(event[:2] == ("servers", "election") for event in seen), seen


def test_the_killed_server_is_back(cluster):
    cluster.wait_for_servers(3, within_s=30)
    with Req(cluster) as req:
        assert req.ask_until_done("login", user="depois")["status"] == "sucesso"
