"""The drill's workload and checkers, on a cluster of containers that is broken from outside. It
runs in the client's container and knows of two brokers and two proxies."""

import subprocess
import time

from engine import docker
from test_two import BEFORE  # The same set of containers.

DURATION_S = 45
# The drill waits for itself until all servers take part, and then checks.
CHECKED_WITHIN_S = 120
BETWEEN_S = 3


def test_a_drill_is_attached_while_hosts_die(stack):
    command = ["docker", "exec", "client", "recado", "drill", "--attach"]
    command += ["--duration", f"{DURATION_S}s", "--rate", "100", "--seed", "7"]
    drill = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        ends = time.monotonic() + DURATION_S - 5
        while time.monotonic() < ends:
            for break_it, mend_it in (("kill", "start"), ("pause", "unpause")):
                for name in (stack.primary(), "broker", "proxy2", "proxy", "broker2"):
                    if time.monotonic() < ends:
                        docker(break_it, name)
                        time.sleep(BETWEEN_S)
                        docker(mend_it, name)
        said, _ = drill.communicate(timeout=CHECKED_WITHIN_S)
    finally:
        drill.kill()
    assert drill.returncode == 0, said
    print("       " + said.strip().splitlines()[-1])
