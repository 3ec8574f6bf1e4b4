"""Plain clients that write all the time, and what must hold of what was acknowledged to them."""

import threading
import time
from collections import Counter

from cluster import eventually
from standard import Req

USER, OTHER, CHANNEL = "ana", "bia", "geral"
PREFIX = "text "
WRITERS = 4
PAUSE_S = 0.01
# From a fault until writes go on. The promise is much shorter; a machine that also builds images
# is slow, and these tests ask what is lost, not how fast.
GOES_ON_S = 30


class Book:
    """All that was ever sent, and what was acknowledged of it, through all tests."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = 0
        self.acked = {CHANNEL: [], OTHER: []}

    def number(self):
        with self.lock:
            self.sent += 1
            return self.sent

    def note(self, topic, text):
        with self.lock:
            self.acked[topic].append(text)

    def count(self):
        with self.lock:
            return sum(len(texts) for texts in self.acked.values())


class Writer(threading.Thread):
    """Publishes and sends private messages in turn. Nothing is sent twice: whatever is in the
    history twice was doubled by the cluster."""

    def __init__(self, stack, book, ended):
        super().__init__(daemon=True)
        self.stack, self.book, self.ended = stack, book, ended
        self.unanswered, self.failure = 0, None

    def run(self):
        try:
            with Req(self.stack) as req:
                while not self.ended.is_set():
                    self.write(req)
                    time.sleep(PAUSE_S)
        except Exception as why:  # Reported by the test, in the main thread.
            self.failure = why

    def write(self, req):
        number = self.book.number()
        topic, text = (CHANNEL, OTHER)[number % 2], f"{PREFIX}{number}"
        try:
            if topic == CHANNEL:
                found = req.ask("publish", user=USER, channel=CHANNEL, message=text)
            else:
                found = req.ask("message", src=USER, dst=OTHER, message=text)
        except AssertionError:
            self.unanswered += 1
            return
        if found["status"] == "OK":
            self.book.note(topic, text)
        else:
            assert found.get("code") in ("unavailable", "unknown"), found


class Load:
    """Writers for as long as the block lasts; then all that was acknowledged is looked for."""

    def __init__(self, stack, book):
        self.stack, self.book, self.ended = stack, book, threading.Event()
        self.writers = [Writer(stack, book, self.ended) for _ in range(WRITERS)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        self.goes_on()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        for writer in self.writers:
            writer.join()
        if kind is None:
            for writer in self.writers:
                assert writer.failure is None, writer.failure
            check(self.stack, self.book)

    def goes_on(self, more=40):
        """Until so many more writes are acknowledged, all of them sent from now on."""
        started, before = time.monotonic(), self.book.count() + WRITERS
        enough = lambda: self.book.count() >= before + more
        eventually(f"{more} more writes are acknowledged", enough, GOES_ON_S)
        return time.monotonic() - started

    def every_request_was_answered(self):
        unanswered = sum(writer.unanswered for writer in self.writers)
        assert unanswered == 0, f"{unanswered} requests got no answer, though the broker lived"


def prepare(stack):
    """The names that the writers use."""
    with Req(stack) as req:
        for user in (USER, OTHER):
            assert req.ask_until_done("login", user=user)["status"] == "sucesso"
        found = req.ask_until_done("channel", channel=CHANNEL)
        assert found["status"] == "sucesso" or found["code"] == "channel_exists", found


def history(stack, **whose):
    """What the writers wrote there, in order, of a history whose numbers have no gap."""
    texts, seen = [], 0
    with Req(stack) as req:
        while True:
            page = req.ask_until_done("history", after=seen, limit=1000, **whose)
            assert "messages" in page, page
            for row in page["messages"]:
                assert row["seq"] == seen + 1, f"{row['seq']} follows {seen}: {whose}"
                seen += 1
                # Bots write here too, and tests that look whether events pass.
                if row["message"].startswith(PREFIX):
                    texts.append(row["message"])
            if seen >= page["newest"]:
                return texts


def check(stack, book):
    """What was acknowledged is there, and nothing is there twice."""
    for topic, whose in ((CHANNEL, {"channel": CHANNEL}), (OTHER, {"user": OTHER})):
        texts = history(stack, **whose)
        twice = [text for text, times in Counter(texts).items() if times > 1]
        assert not twice, f"{topic}: stored more than once: {twice[:5]}"
        lost = set(book.acked[topic]) - set(texts)
        assert not lost, f"{topic}: acknowledged, and not in the history: {sorted(lost)[:5]}"
