"""The figures as a table of ratios, and as a plot."""

import json
import statistics

from rows import CASES, case_name

PEER_NAMES = {"nats": "NATS JetStream, no fsync", "nats-fsync": "NATS JetStream, fsync",
              "etcd": "etcd, fsync", "libzmq": "libzmq `zmq_proxy`", "recado": "Recado, fsync"}


def write(figures, out):
    raw = {"machine": figures.machine, "rows": figures.rows}
    (out / "figures.json").write_text(json.dumps(raw, indent=1) + "\n")
    (out / "table.md").write_text(table(raw))
    if any(entry["row"] == "writes" for entry in raw["rows"]):
        plot(raw, out / "plot.svg")
    print(f"\n{(out / 'table.md').read_text()}\nall figures: {out / 'figures.json'}")


def values(raw, row, system, case, key):
    """A figure, round by round."""
    return {entry["round"]: entry["figures"][key] for entry in raw["rows"]
            if (entry["row"], entry["system"], entry["case"]) == (row, system, case)}


def spread(found, digits=0):
    """Median, and the smallest and largest of several."""
    found = list(found)
    median, low, high = statistics.median(found), min(found), max(found)
    if len(found) == 1:
        return f"{median:,.{digits}f}"
    return f"{median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def ratio(ours, theirs):
    """Ours to theirs, round by round."""
    rounds = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return f" **{statistics.median(rounds):.2f}×**" if rounds else ""


def systems_of(raw, row):
    names = {entry["system"] for entry in raw["rows"] if entry["row"] == row}
    return [name for name in PEER_NAMES if name in names and name != "recado"]


def cases_of(raw, row, system="recado"):
    cases = [entry["case"] for entry in raw["rows"]
             if (entry["row"], entry["system"]) == (row, system)]
    return list(dict.fromkeys(cases))


def compared(raw, row, key, cases, digits=0):
    """One line a case: ours, then each peer's with the ratio of ours to it."""
    peers = systems_of(raw, row)
    lines = ["| | Recado | " + " | ".join(PEER_NAMES[peer] for peer in peers) + " |",
             "|---|---" + "|---" * len(peers) + "|"]
    for case in cases:
        ours = values(raw, row, "recado", case, key)
        if not ours:
            continue
        cells = [spread(ours.values(), digits)]
        for peer in peers:
            theirs = values(raw, row, peer, case, key)
            cells.append(spread(theirs.values(), digits) + ratio(ours, theirs) if theirs else "–")
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def alone(raw, row, keys, digits=2):
    """Figures of ours (and of peers that have the same ones), one line a figure."""
    lines = ["| | system | figure | |", "|---|---|---|---|"]
    for system in ["recado", *systems_of(raw, row)]:
        for case in cases_of(raw, row, system):
            for label, path in keys.items():
                found = [pick(entry["figures"], path) for entry in raw["rows"]
                         if (entry["row"], entry["system"], entry["case"]) == (row, system, case)]
                found = [value for value in found if value is not None]
                if found:
                    lines.append(f"| {case} | {system} | {label} | {spread(found, digits)} |")
    return "\n".join(lines)


def pick(figures, path):
    for key in path.split("."):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def table(raw):
    there = {entry["row"] for entry in raw["rows"]}
    cases = [case_name(*case) for case in CASES]
    m = raw["machine"]
    parts = [f"{m['date']}, {m['cpus']} × {m['cpu']}, {m['memory_gb']} GB, Linux {m['kernel']}, "
             f"{m['file_system']}, one fdatasync of 4 KiB {m['fdatasync_p50_ms']} ms (median); "
             f"{m['recado']}. Median of {m['rounds']} rounds of {m['seconds']} s (smallest–largest); "
             f"bold: ours to theirs, median over the rounds. Load average before: "
             f"{m['load_average']:.1f}, priority {m['priority']}."]

    def part(row, title, body):
        if row in there:
            parts.append(f"### {title}\n\n{body()}")

    part("writes", "Acknowledged writes/s, 200 bytes, 3 replicas, closed loop",
         lambda: compared(raw, "writes", "acks_per_s", cases))
    part("writes", "Their latency, median, ms (less is better)",
         lambda: compared(raw, "writes", "p50_ms", cases, 2))
    part("writes", "Their latency, 99th percentile, ms (less is better)",
         lambda: compared(raw, "writes", "p99_ms", cases, 2))
    part("writes", "Processor time of the system's processes for one of them, µs (less is better)",
         lambda: compared(raw, "writes", "cpu_us_per_ack", cases))
    part("latency", "Latency at a fixed rate, from when each message was due, 64 clients",
         lambda: alone(raw, "latency", {
             "median, ms": "p50_ms", "90 %, ms": "p90_ms", "99 %, ms": "p99_ms",
             "99.9 %, ms": "p999_ms", "longest, ms": "max_ms", "sent late": "behind"}))
    part("reads", "Reads/s, 64 clients", lambda: alone(raw, "reads", {
        "pages of history (100 messages of 200 bytes)/s": "history.pages_per_s",
        "lists of channels/s": "channels.lists_per_s"}, 0))
    part("fan-out", "Deliveries/s, 200 bytes", lambda: compared(
        raw, "fan-out", "deliveries_per_s", cases_of(raw, "fan-out")) + "\n\n" + alone(
        raw, "fan-out", {"lost": "lost", "µs of the proxy's processor a delivery":
                         "proxy_cpu_us_per_delivery"}))
    part("fail-over", "Longest time without an acknowledgement when the primary is killed, ms",
         lambda: alone(raw, "fail-over", {"gap, ms": "gap_ms"}, 0))
    part("start", "From `up` to the first acknowledged message",
         lambda: alone(raw, "start", {"s": "first_ack_s"}))
    part("history", "With much history", lambda: alone(raw, "history", {
        "writes/s, empty (64 clients, 8 connections)": "acks_per_s_empty",
        "writes/s, full": "acks_per_s_full", "full to empty": "ratio",
        "memory of the largest server, MB": "memory_mb_max",
        "a killed server active again, s": "server_restart_s",
        "all stopped, started, first acknowledgement, s": "whole_restart_s"}))
    part("scale", "With many names, and many subscribers", lambda: alone(raw, "scale", {
        "logins and channels made/s": "made_per_s",
        "writes/s (64 clients, 8 connections)": "acks_per_s_full",
        "to those of an empty cluster": "ratio", "lists of all channels/s": "lists_per_s",
        "a killed server active again, s": "server_restart_s",
        "deliveries/s": "deliveries_per_s", "lost": "lost",
        "memory of the largest server, or the proxy, MB": "memory_mb_max"}))
    return "\n\n".join(parts) + "\n"


def plot(raw, path):
    """Writes/s by case, a bar for each system, with the spread of the rounds."""
    import matplotlib

    matplotlib.use("svg")
    # Names of the same elements in every run, and text as text.
    matplotlib.rcParams.update({"svg.hashsalt": "recado", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    cases = [case_name(*case) for case in CASES]
    names = ["recado", *systems_of(raw, "writes")]
    figure, axes = plt.subplots(figsize=(10, 4.5))
    width = 0.8 / len(names)
    for index, system in enumerate(names):
        found = [list(values(raw, "writes", system, case, "acks_per_s").values()) or [0]
                 for case in cases]
        middle = [statistics.median(rounds) for rounds in found]
        low = [value - min(rounds) for value, rounds in zip(middle, found)]
        high = [max(rounds) - value for value, rounds in zip(middle, found)]
        axes.bar([place + index * width for place in range(len(cases))], middle, width,
                 yerr=[low, high], capsize=2, label=PEER_NAMES[system])
    middle_of_group = 0.4 - width / 2
    axes.set_xticks([place + middle_of_group for place in range(len(cases))],
                    [case.replace(", ", "\n") for case in cases])
    axes.set_ylabel("acknowledged writes/s")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
