"""Starts real clusters from the built binary, on free ports, and stops each process by its pid."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# Below the range from which systems hand out ports to connections.
PORT_RANGE = (20000, 32000)
PORTS_PER_CLUSTER = 40
START_S = 30
STOP_S = 20


def free_port_base():
    """The first of a row of ports that are all free now."""
    for _ in range(200):
        base = random.randrange(*PORT_RANGE, PORTS_PER_CLUSTER)
        held = []
        try:
            for port in range(base, base + PORTS_PER_CLUSTER):
                held.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for taken in held:
                taken.close()
    raise RuntimeError("no free ports were found")


def eventually(what, condition, within_s):
    """Waits until the condition gives something true, and returns that."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


class Cluster:
    """Processes of the binary that share a port base and a folder."""

    def __init__(self, binary):
        self.binary = binary
        self.base = free_port_base()
        self.dir = tempfile.mkdtemp(prefix="recado-python-")
        self.log_path = os.path.join(self.dir, "log")
        self.log = open(self.log_path, "ab")
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes):
            self.stop(process)
        self.log.close()
        if kind is None:
            shutil.rmtree(self.dir, ignore_errors=True)

    def endpoint(self, offset):
        return f"tcp://127.0.0.1:{self.base + offset}"

    def command(self, *words, shift=0):
        """A command with the cluster's ports, or with others in a folder of their own."""
        folder = os.path.join(self.dir, f"data{shift or ''}")
        where = ["--port-base", str(self.base + shift), "--data-dir", folder]
        return [self.binary, *words, *where]

    def start(self, *words, shift=0):
        """Starts one process of the binary."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECADO_")}
        process = subprocess.Popen(
            self.command(*words, shift=shift),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=clean,
        )
        self.processes.append(process)
        return process

    def stop(self, process):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def up(self, servers=3):
        """The whole cluster; returns when all servers take part."""
        self.start("up", "--bots", "0", "--servers", str(servers))
        self.wait_for_servers(servers)
        return self

    def single_roles(self, *broker_options, servers=3):
        """The same, each role started by itself."""
        self.start("broker", *broker_options)
        self.start("proxy")
        self.start("reference")
        for number in range(1, servers + 1):
            port = str(self.base + 4 + number)
            self.start("server", "--name", f"server-{number}", "--port", port)
        self.wait_for_servers(servers)
        return self

    def status(self):
        """What `status --json` says, or None while nobody answers."""
        try:
            shown = subprocess.run(
                self.command("status", "--json"), capture_output=True, timeout=15, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        return json.loads(shown.stdout) if shown.returncode == 0 else None

    def members(self, *roles):
        found = (self.status() or {"members": []})["members"]
        return [member for member in found if member["role"] in roles]

    def primary(self):
        found = self.members("primary")
        return found[0] if found else None

    def wait_for_servers(self, count, within_s=START_S):
        def ready():
            active = self.members("primary", "backup")
            roles = [member["role"] for member in active]
            return len(active) == count and roles.count("primary") == 1

        eventually(f"{count} active servers", ready, within_s)

    def log_tail(self, lines=60):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])
