"""The compose project under test, on the real engine. It has a name of its own and ends by it."""

import json
import os
import shutil
import subprocess
import time

from cluster import eventually
from standard import Req

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
IMAGE = "recado-test"
# The names that compose.yaml gives to containers; two projects can't both have them.
NAMES = ["broker", "proxy", "reference", "server1", "server2", "server3", "server4", "server5"]
NAMES += ["client", "bot1", "bot2", "broker2", "proxy2"]
SERVERS = ["server1", "server2", "server3"]
PROXIES = ["http_proxy", "https_proxy", "no_proxy"]
# What a stop may take before the engine kills.
GRACE_S = 10
ACTIVE_S = 60


def run(*words, within_s=120, check=True, **options):
    """Runs a command; its output is the error when it fails."""
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=within_s, check=False, **options
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done


def docker(*words, **options):
    return run("docker", *words, **options).stdout.strip()


def engine_answers():
    if not shutil.which("docker"):
        return False
    return run("docker", "version", check=False, within_s=30).returncode == 0


def compose_command():
    """Compose 2 as Docker's plugin where it is there, else 1.29."""
    if run("docker", "compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise AssertionError("neither `docker compose` nor `docker-compose` is there: install one")


def inspect(container):
    return json.loads(docker("inspect", container))[0]


def address(container):
    """Where the project's network has it."""
    (network,) = inspect(container)["NetworkSettings"]["Networks"].values()
    return network["IPAddress"]


class Stack:
    """The project; what happens to containers is done by `docker` itself, as a person would."""

    def __init__(self):
        self.project = f"recado-test-{os.getpid()}"
        self.command = compose_command()
        self.files = ["compose.yaml"]

    def build(self, within_s):
        """The image, which is built behind the proxies that this machine uses."""
        proxies = [name for name in os.environ if name.lower() in PROXIES]
        arguments = [word for name in proxies for word in ("--build-arg", name)]
        self.compose("build", *arguments, within_s=within_s)

    def refuse_strangers(self):
        """Somebody's own cluster has the same names and ports."""
        there = docker("ps", "--all", "--format", "{{.Names}}").split()
        taken = sorted(set(there) & set(NAMES))
        assert not taken, f"containers of these names exist already, remove them: {taken}"

    def compose(self, *words, within_s=300):
        files = [word for file in self.files for word in ("-f", file)]
        return run(
            *self.command, "-p", self.project, *files, *words,
            within_s=within_s, cwd=ROOT, env={**os.environ, "RECADO_IMAGE": IMAGE},
        )

    def up(self, *services):
        """What is not there yet is made and started."""
        self.compose("up", "-d", "--no-build", *services)
        self.wait_active()

    def down(self, *options):
        self.compose("--profile", "more", "down", "--remove-orphans", *options)

    def network(self):
        return f"{self.project}_recado"

    def volume(self, name):
        return f"{self.project}_{name}"

    def endpoint(self, offset):
        """A port of the standard, as it is published on this machine."""
        return f"tcp://127.0.0.1:{5555 + offset}"

    def members(self):
        """What the cluster says of its servers; nothing while it does not answer."""
        with Req(self) as req:
            try:
                return req.ask("status", within_s=6).get("members", [])
            except AssertionError:
                return []

    def primary(self):
        """The one primary's name, which is its container's."""
        def found():
            names = [member["name"] for member in self.members() if member["role"] == "primary"]
            return names[0] if len(names) == 1 else None

        return eventually("there is a primary", found, ACTIVE_S)

    def wait_active(self, *names, within_s=ACTIVE_S):
        """Until all of them take part and one leads; returns how long that took, s."""
        wanted = set(names or SERVERS)
        last = []

        def ready():
            last[:] = self.members()
            active = [m for m in last if m["role"] in ("primary", "backup")]
            leads = [m["role"] for m in active].count("primary")
            return leads == 1 and wanted <= {member["name"] for member in active}

        started = time.monotonic()
        try:
            eventually(f"{sorted(wanted)} take part", ready, within_s)
        except AssertionError as why:
            raise AssertionError(f"{why}; the last word was {last}") from None
        return time.monotonic() - started

    def stop(self, container):
        """A clean stop: within the grace period, and with the role's own exit code."""
        started = time.monotonic()
        docker("stop", container)
        taken = time.monotonic() - started
        code = inspect(container)["State"]["ExitCode"]
        assert code == 0, f"{container} stopped with exit code {code}"
        assert taken < GRACE_S, f"{container} took {taken:.1f} s to stop"
        return taken

    def logs(self, lines=25):
        """The last lines of all containers, for a failure's report."""
        return self.compose("logs", "--no-color", f"--tail={lines}").stdout
