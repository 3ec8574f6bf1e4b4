"""What is measured, row by row. All figures are kept: one entry for each system, case and round."""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import threading
import time

import systems
from systems import OurProxy, LibzmqProxy, Nats, PEERS, Recado, children

#: Clients, and over how many connections (none: one each).
CASES = [(1, None), (16, None), (64, None), (256, None), (64, 8), (256, 8)]
#: The rates of the open loop, messages/s.
RATES = [500, 2000]
#: How long a fail-over is watched before and after the kill, s.
BEFORE_KILL_S, AFTER_KILL_S = 3, 14
#: How long NATS's client waits for one acknowledgement there; its default of 5 s would be the gap.
FAIL_OVER_TIMEOUT_MS = 500


def case_name(clients, connections):
    return f"{clients} client{'s' * (clients > 1)}" + (f", {connections} connections" if connections else "")


class Figures:
    """All that was measured, with what it was measured on."""

    def __init__(self, options):
        self.options = options
        self.rows = []
        self.machine = machine(options)

    def add(self, row, system, case, round_number, figures):
        self.rows.append({"row": row, "system": system, "case": case, "round": round_number,
                          "figures": figures})
        shown = {key: value for key, value in figures.items() if key != "rounds"}
        print(f"{datetime.datetime.now():%H:%M:%S} {row} {system} {case}: {json.dumps(shown)}",
              flush=True)


def machine(options):
    cpu = next((line.split(":", 1)[1].strip() for line in
                pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory_kb = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    probe = options.temp / "fsync.probe"
    times = []
    with open(probe, "wb") as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    probe.unlink()
    find = ["stat", "--file-system", "--format=%T", str(options.temp)]
    version = subprocess.run([str(options.recado), "--version"], capture_output=True, text=True)
    return {
        "cpus": os.cpu_count(), "cpu": cpu, "memory_gb": round(memory_kb / 1024 / 1024),
        "kernel": platform.release(),
        "file_system": subprocess.run(find, capture_output=True, text=True).stdout.strip(),
        "fdatasync_p50_ms": round(sorted(times)[100] * 1000, 3),
        "recado": version.stdout.strip(), "load_average": os.getloadavg()[0],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "date": f"{datetime.date.today()}",
        "seconds": options.seconds, "rounds": options.rounds,
    }


def measure(options, load):
    figures = Figures(options)
    steps = {"writes": writes, "latency": latency, "reads": reads, "fan-out": fan_out,
             "fail-over": fail_over, "start": start, "history": history, "scale": scale}
    for row in options.only:
        steps[row](figures, options, load)
    return figures


def writes(figures, options, load):
    """Each system in turn, round by round, in the other order every second round."""
    kinds = [Recado] + [PEERS[name] for name in options.peers]
    warm_up = 1 if options.quick else 2
    for number in range(options.rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            with kind(options, load) as system:
                for clients, connections in CASES:
                    before = system.cpu_s()
                    found = system.writes(clients, connections, options.seconds, warm_up)
                    # The warm-up is in it: as many a second as afterwards, about.
                    acks = found["acks_per_s"] * (options.seconds + warm_up)
                    found["cpu_us_per_ack"] = (system.cpu_s() - before) * 1e6 / max(acks, 1)
                    figures.add("writes", kind.name, case_name(clients, connections), number, found)


def latency(figures, options, load):
    for number in range(options.rounds):
        with Recado(options, load) as recado:
            for rate in RATES:
                found = recado.bench("--what", "latency", "--rate", rate, "--seconds",
                                     options.seconds)
                figures.add("latency", "recado", f"{rate} per s", number, found)


def reads(figures, options, load):
    with Recado(options, load) as recado:
        for number in range(options.rounds):
            found = recado.bench("--what", "reads", "--seconds", options.seconds)
            figures.add("reads", "recado", "64 clients", number, found)


def fan_out(figures, options, load):
    """One publisher, ten subscribers, and the same load program at both proxies."""
    kinds = [OurProxy, LibzmqProxy]
    for number in range(max(options.rounds, 3)):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            with kind(options, load) as proxy:
                before = systems.cpu_s(proxy.pid)
                command = [options.recado, "bench", "--what", "proxy", "--json", "--proxy",
                           f"127.0.0.1:{proxy.at}", "--publishers", 1, "--subscribers", 10,
                           "--seconds", options.seconds]
                found = json.loads(systems.output_of(command, 120))
                # Its warm-up of a second included: close enough for a figure beside the rate.
                deliveries = found["deliveries_per_s"] * (options.seconds + 1)
                used = systems.cpu_s(proxy.pid) - before
                found["proxy_cpu_us_per_delivery"] = used * 1e6 / max(deliveries, 1)
                figures.add("fan-out", kind.name, "1 × 10 through the proxy", number, found)
    with Recado(options, load) as recado:
        found = recado.bench("--what", "fan-out", "--publishers", 64, "--connections", 8,
                             "--subscribers", 10, "--seconds", options.seconds)
        figures.add("fan-out", "recado", "64 × 10 through the cluster", 0, found)


def fail_over(figures, options, load):
    """The primary, or the stream's leader, is killed with -9 under 16 clients, and started again."""
    kills = 3 if options.quick else 10
    with Recado(options, load) as recado:
        found = recado.bench("--what", "fail-over", "--clients", 16, "--kill-primary", kills,
                             timeout_s=60 + kills * 60)
        for number, gap in enumerate(found["gaps_ms"]):
            figures.add("fail-over", "recado", "16 clients", number, {"gap_ms": gap})
    if "nats" not in options.peers:
        return
    with Nats(options, load) as nats:
        for number in range(2 if options.quick else 5):
            found = {}

            def run():
                found.update(nats.writes(16, None, BEFORE_KILL_S + AFTER_KILL_S, 0,
                                         FAIL_OVER_TIMEOUT_MS))

            loading = threading.Thread(target=run)
            loading.start()
            time.sleep(BEFORE_KILL_S)
            leader = nats.leader()
            nats.kill(leader)
            loading.join()
            figures.add("fail-over", "nats", "16 clients", number,
                        {"gap_ms": found["longest_gap_ms"], "errors": found["errors"]})
            nats.start_node(leader)
            time.sleep(5)
            nats.settle()


def start(figures, options, load):
    """From `recado up` on an empty folder to the first acknowledged message."""
    for number in range(options.rounds):
        recado = Recado(options, load)
        recado.start = lambda: None
        with recado:
            base = recado.base = systems.free_base(20)
            started = time.monotonic()
            recado.spawn("up", [options.recado, "up", "--bots", 0, "--port-base", base,
                                "--data-dir", recado.folder / "data"])
            first_ack(base)
            figures.add("start", "recado", "empty", number,
                        {"first_ack_s": time.monotonic() - started})


def first_ack(port):
    """Publishes as any standard client would, again and again, until it is acknowledged."""
    import msgpack
    import zmq

    deadline = time.monotonic() + systems.START_S
    context = zmq.Context()
    requests = context.socket(zmq.REQ)
    requests.linger = 0
    requests.reconnect_ivl = 10
    requests.reconnect_ivl_max = 20
    requests.rcvtimeo = systems.START_S * 1000
    requests.connect(f"tcp://127.0.0.1:{port}")

    def ask(service, **data):
        data.update(timestamp=int(time.time() * 1000), clock=1)
        requests.send(msgpack.packb({"service": service, "data": data}))
        return msgpack.unpackb(requests.recv())["data"]

    try:
        while time.monotonic() < deadline:
            made = ask("channel", channel="first")
            if made["status"] == "sucesso" or made.get("code") == "channel_exists":
                if ask("publish", user="first", channel="first", message="hi")["status"] == "OK":
                    return
            time.sleep(0.01)
    finally:
        requests.close()
        context.term()
    raise RuntimeError("nothing was acknowledged")


def history(figures, options, load):
    """Throughput beside an empty one's, memory and restart with many messages."""
    wanted = 100_000 if options.quick else options.messages
    case = f"{wanted:,} messages"
    with Recado(options, load) as recado:
        fill(recado, wanted)
        found = full_and_empty(recado, options, load)
        found |= memory_of(recado.server_pids())
        found["server_restart_s"] = restart_backup(recado)
        recado.stop("up")
        started = time.monotonic()
        recado.spawn("up", [options.recado, "up", "--bots", 0, "--port-base", recado.base,
                            "--data-dir", recado.folder / "data"])
        first_ack(recado.base)
        found["whole_restart_s"] = time.monotonic() - started
        figures.add("history", "recado", case, 0, found)
    if "nats" in options.peers:
        with Nats(options, load) as nats:
            fill(nats, wanted)
            found = full_and_empty(nats, options, load) | memory_of(nats.pids())
            figures.add("history", "nats", case, 0, found)


def full_and_empty(full, options, load):
    """The same load at a full system and at a new one, in turns: the machine has good and bad
    minutes, and filling takes some of them."""
    rates = []
    for number in range(max(options.rounds, 3)):
        with type(full)(options, load) as empty:
            pair = [empty, full] if number % 2 == 0 else [full, empty]
            rate = {system: system.writes(64, 8, options.seconds, 1)["acks_per_s"]
                    for system in pair}
        rates.append((rate[empty], rate[full]))
    return {"acks_per_s_empty": statistics.median(empty for empty, _ in rates),
            "acks_per_s_full": statistics.median(full for _, full in rates),
            "ratio": statistics.median(full / empty for empty, full in rates),
            "ratios": [full / empty for empty, full in rates]}


def scale(figures, options, load):
    """Many users and channels, and many subscribers."""
    names, subscribers = (1_000, 100) if options.quick else (10_000, 1_000)
    with Recado(options, load) as recado:
        started = time.monotonic()
        make_names(recado.base, names)
        found = {"made_per_s": 2 * names / (time.monotonic() - started)}
        found |= full_and_empty(recado, options, load)
        reads = recado.bench("--what", "reads", "--seconds", options.seconds)
        found["lists_per_s"] = reads["channels"]["lists_per_s"]
        found |= memory_of(recado.server_pids())
        found["server_restart_s"] = restart_backup(recado)
        figures.add("scale", "recado", f"{names:,} users and as many channels", 0, found)
    with Recado(options, load) as recado:
        found = recado.bench("--what", "fan-out", "--publishers", 16, "--subscribers", subscribers,
                             "--seconds", options.seconds)
        proxy = next(pid for pid in children(recado.pid) if is_role(pid, "proxy"))
        found["memory_mb_max"] = systems.rss_mb(proxy)
        figures.add("scale", "recado", f"16 publishers, {subscribers:,} subscribers", 0, found)


def is_role(pid, role):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1] == role.encode()


def make_names(port, count):
    """Logs so many users in and creates as many channels, 64 requests at a time."""
    import msgpack
    import zmq

    waiting = [(service, {key: f"{key}-{number}"})
               for service, key in [("login", "user"), ("channel", "channel")]
               for number in range(count)]
    waiting.reverse()
    context = zmq.Context()
    requests = context.socket(zmq.DEALER)
    requests.linger = 0
    requests.rcvtimeo = systems.START_S * 1000
    requests.connect(f"tcp://127.0.0.1:{port}")
    unanswered = 0
    try:
        while waiting or unanswered:
            while waiting and unanswered < 64:
                service, data = waiting.pop()
                data.update(timestamp=int(time.time() * 1000), clock=1)
                requests.send_multipart([b"", msgpack.packb({"service": service, "data": data})])
                unanswered += 1
            answer = msgpack.unpackb(requests.recv_multipart()[1])["data"]
            if answer["status"] != "sucesso":
                raise RuntimeError(f"a name was refused: {answer}")
            unanswered -= 1
    finally:
        requests.close()
        context.term()


def memory_of(pids):
    memory = {name: systems.rss_mb(pid) for name, pid in pids.items()}
    return {"memory_mb": memory, "memory_mb_max": max(memory.values())}


def fill(system, wanted):
    """Writes about so many messages."""
    done = 0
    while done < wanted:
        rate = system.writes(256, 8, 10, 0)["acks_per_s"]
        if rate == 0:
            raise RuntimeError(f"{system.name} takes no messages any more")
        done += rate * 10


def restart_backup(recado):
    """From the death of a backup, which `up` starts again, until it is active again."""
    members = recado.status()["members"]
    backup = next(member for member in members if member["role"] == "backup")
    os.kill(backup["pid"], 9)
    killed = time.monotonic()
    while time.monotonic() < killed + systems.START_S:
        for member in recado.status()["members"]:
            # Who returns has a new rank; until then the list still shows the dead one.
            back = member["name"] == backup["name"] and member["rank"] != backup["rank"]
            if back and member["role"] in ("backup", "primary"):
                return time.monotonic() - killed
        time.sleep(0.02)
    raise RuntimeError(f"{backup['name']} is not active again")
