#!/usr/bin/env python3
"""Runs Recado and its peers on this machine, one after the other, and compares them.

    nice -n -15 python3 bench/run.py            # everything
    python3 bench/run.py --quick                # everything in short
    python3 bench/run.py --only writes,fan-out  # some rows

Needs a Rust toolchain and Python 3.9 or later; the rest is installed into a venv under target/.
Writes figures.json (all raw figures), table.md and plot.svg into the folder of --out.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / "target" / "bench.venv"
LOAD_TARGET = ROOT / "target" / "bench-load"

#: In the order of the table.
ROWS = ["writes", "latency", "reads", "fan-out", "fail-over", "start", "history", "scale"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, short ones, less data")
    parser.add_argument("--only", default=",".join(ROWS), help="rows, separated by commas")
    parser.add_argument("--peers", default="nats,nats-fsync,etcd", help="which ones; may be empty")
    parser.add_argument("--rounds", type=int, help="how many rounds [default: 5, quick 2]")
    parser.add_argument("--seconds", type=int, help="how long each load [default: 8, quick 3]")
    parser.add_argument("--messages", type=int, default=1_000_000,
                        help="how many make a long history [default: 1000000]")
    parser.add_argument("--recado", type=pathlib.Path, help="a binary [default: built from here]")
    parser.add_argument("--temp", type=pathlib.Path, default=ROOT / "target" / "bench-data",
                        help="folder for the data, on the disk that is to be measured")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target" / "bench")
    options = parser.parse_args()
    options.only = [word for word in options.only.split(",") if word]
    unknown = [word for word in options.only if word not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    options.peers = [word for word in options.peers.split(",") if word]
    unknown = [word for word in options.peers if word not in ("nats", "nats-fsync", "etcd")]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}; there are nats, nats-fsync, etcd")
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (3 if options.quick else 8)
    return options


def enter_venv():
    """Makes the venv when it is missing or old, and goes on inside it."""
    python = VENV / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    mark = VENV / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", "--requirement",
                        str(HERE / "requirements.txt")], check=True)
        mark.write_text(wanted)
    if pathlib.Path(sys.prefix) != VENV:
        os.execv(str(python), [str(python), *sys.argv])


def build(options):
    """The binaries of ours: the load for the peers, and Recado."""
    def cargo(*words):
        subprocess.run(["cargo", "build", "--release", "--locked", *words], check=True, cwd=ROOT)

    cargo("--manifest-path", str(HERE / "load" / "Cargo.toml"), "--target-dir", str(LOAD_TARGET))
    if options.recado is None:
        cargo("--package", "recado")
        options.recado = ROOT / "target" / "release" / "recado"
    options.recado = options.recado.resolve()
    return LOAD_TARGET / "release" / "peer-load"


def main():
    options = parse()
    enter_venv()
    load = build(options)
    # From here on in the venv.
    import report
    import rows

    # Ends by an exception, so that everything that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped before the end"))
    options.temp.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = rows.measure(options, load)
    report.write(figures, options.out)


if __name__ == "__main__":
    main()
