"""Runs compose.yaml on the real Docker engine, breaks it, and looks for what was acknowledged.

    python run.py [PART-OF-A-TEST-NAME]

Builds the image first. The tests share one cluster and one book of all that was acknowledged, so
each looks at the whole history again. Whatever happens, the project is taken down at the end.
"""

import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "python"))

import test_chat  # noqa: E402: the path above comes first
import test_drill  # noqa: E402
import test_faults  # noqa: E402
import test_image  # noqa: E402
import test_mission  # noqa: E402
import test_more  # noqa: E402
import test_two  # noqa: E402
from engine import Stack, engine_answers, run  # noqa: E402
from load import Book, prepare  # noqa: E402

MODULES = [test_image, test_mission, test_chat, test_faults, test_two, test_drill, test_more]
BUILD_S = 1800


def tests_of(module, wanted):
    named = [(name, value) for name, value in vars(module).items() if name.startswith("test_")]
    return [(name, test) for name, test in named if callable(test) and wanted in name]


def run_test(name, test, stack):
    started = time.monotonic()
    try:
        test(stack)
    except Exception:  # A test that fails in any way is a failed test.
        report(stack, f"FAILED {name}")
        return False
    print(f"ok     {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def run_module(module, wanted, stack):
    tests = tests_of(module, wanted)
    if not tests:
        return []
    print(f"--- {module.__name__}", flush=True)
    try:
        getattr(module, "BEFORE", lambda _: None)(stack)
    except Exception:  # What a module needs and can't have fails its tests.
        report(stack, f"FAILED before {module.__name__}")
        return [False] * len(tests)
    return [run_test(name, test, stack) for name, test in tests]


def report(stack, line):
    traceback.print_exc()
    print(f"--- the last lines of all containers\n{stack.logs()}\n{line}", flush=True)


def timed(what, work):
    started = time.monotonic()
    work()
    print(f"--- {what}: {time.monotonic() - started:.0f} s", flush=True)


def run_all(stack, wanted):
    try:
        timed("base images", lambda: run(os.path.join(HERE, "bases"), within_s=BUILD_S))
        timed("image", lambda: stack.build(BUILD_S))
        timed("start", stack.up)
        stack.book = Book()
        prepare(stack)
    except Exception:  # Without a cluster there is nothing to test.
        report(stack, "FAILED to build and start")
        return [False]
    return [outcome for module in MODULES for outcome in run_module(module, wanted, stack)]


def main():
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    if not engine_answers():
        print("skipped: no Docker engine")
        return 0
    # A signal ends it as an exception would, so that the project is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        stack = Stack()
        stack.refuse_strangers()
    except AssertionError as why:
        print(why, file=sys.stderr)
        return 1
    try:
        outcomes = run_all(stack, sys.argv[1] if len(sys.argv) == 2 else "")
    finally:
        stack.down("--volumes")
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
