"""Runs the standard's plain Python clients against real clusters.

    python run.py PATH-OF-RECADO [PART-OF-A-TEST-NAME]

Each test module says with `CLUSTER` what it needs; the tests of a module share one cluster.
"""

import os
import sys
import time
import traceback

import test_bad_bodies
import test_failover
import test_lenient
import test_plain_broker
import test_proxy_return
import test_services
import test_two_proxies
from cluster import Cluster

MODULES = [
    test_services,
    test_lenient,
    test_bad_bodies,
    test_plain_broker,
    test_proxy_return,
    test_two_proxies,
    test_failover,
]


def tests_of(module, wanted):
    named = [(name, value) for name, value in vars(module).items() if name.startswith("test_")]
    return [(name, test) for name, test in named if callable(test) and wanted in name]


def run_test(name, test, argument):
    started = time.monotonic()
    try:
        test(argument)
    except Exception:  # A test that fails in any way is a failed test.
        traceback.print_exc()
        print(f"FAILED {name}", flush=True)
        return False
    print(f"ok     {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def run_module(module, wanted, binary):
    tests = tests_of(module, wanted)
    outcomes = []
    if not tests:
        return outcomes
    print(f"--- {module.__name__}", flush=True)
    try:
        with Cluster(binary) as cluster:
            module.CLUSTER(cluster)
            for name, test in tests:
                outcomes.append(run_test(name, test, cluster))
            if not all(outcomes):
                print(f"--- the last lines of the cluster\n{cluster.log_tail()}", flush=True)
    except Exception:  # A cluster that does not start or stop fails its tests.
        traceback.print_exc()
        print(f"--- the last lines of the cluster\n{cluster.log_tail()}", flush=True)
        outcomes += [False] * (len(tests) - len(outcomes))
    return outcomes


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    binary = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2] if len(sys.argv) == 3 else ""
    outcomes = []
    for module in MODULES:
        outcomes += run_module(module, wanted, binary)
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
