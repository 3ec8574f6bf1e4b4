"""Two proxies: each gets every event, and one that hangs or is killed holds up nobody."""

import os
import signal
import time

from cluster import eventually
from standard import Req, Sub

# The second proxy has the ports that stand for it in PROTOCOL.md's table.
SECOND = 30
STOPPED_S = 2.6


def start_second(cluster):
    return cluster.start("proxy", shift=SECOND)


def CLUSTER(cluster):
    cluster.start("broker")
    cluster.start("proxy")
    cluster.second = start_second(cluster)
    cluster.start("reference")
    both = ",".join(f"127.0.0.1:{cluster.base + offset}" for offset in (2, SECOND + 2))
    port = str(cluster.base + 5)
    cluster.server = cluster.start("server", "--name", "one", "--port", port, "--proxy", both)
    cluster.wait_for_servers(1)


def publish(req, texts):
    for text in texts:
        found = req.ask("publish", user="ana", channel="geral", message=text)
        assert found["status"] == "OK", found


def hear(sub, texts, within_s=5):
    """Waits until all texts came."""
    missing = set(texts)
    deadline = time.monotonic() + within_s
    while missing:
        event = sub.next(max(0.0, deadline - time.monotonic()))
        assert event is not None, f"{len(missing)} events did not come within {within_s} s"
        missing.discard(event[2]["message"])


def processor_s(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_hanging_or_killed_proxy_holds_up_nobody(cluster):
    first, second = Sub(cluster, "geral"), Sub(cluster, "geral", offset=SECOND + 3)
    with first, second, Req(cluster) as req:
        req.ask_until_done("login", user="ana")
        req.ask_until_done("channel", channel="geral")
        number = iter(range(10**6))
        for sub in (first, second):
            knocks = lambda: publish(req, [f"knock {next(number)}"]) or sub.next(0.1)
            eventually("what is published arrives", knocks, 10)

        cluster.second.send_signal(signal.SIGSTOP)
        during = [f"during {n} {'x' * 2000}" for n in range(300)]
        publish(req, during)
        hear(first, during, within_s=1)
        # Nothing new: who waits for the hanging one does not keep the processor busy.
        before_s = processor_s(cluster.server)
        time.sleep(STOPPED_S)
        used_s = processor_s(cluster.server) - before_s
        print(f"       {used_s:.2f} s of processor time in {STOPPED_S} s beside a hanging proxy")
        assert used_s < 0.5 * STOPPED_S

        cluster.second.send_signal(signal.SIGCONT)
        hear(second, during)

        cluster.second.send_signal(signal.SIGSTOP)
        unheard = [f"unheard {n}" for n in range(100)]
        publish(req, unheard)
        hear(first, unheard, within_s=1)
        cluster.second.kill()
        cluster.second.wait()
        away = [f"away {n}" for n in range(100)]
        publish(req, away)
        hear(first, away, within_s=1)
        cluster.second = start_second(cluster)
        hear(second, unheard + away, within_s=10)
