"""What happens to hosts, done to containers. What was acknowledged is there, once, after each."""

import time
from ipaddress import ip_address

from cluster import eventually
from engine import SERVERS, address, docker, inspect
from load import Load

# Long enough that nobody takes it for a hiccup: a server counts as gone after 300 ms.
AWAY_S = 5


def after_the_fault(stack, broken, mend):
    """Breaks the primary under load, sees another one lead, mends it, sees it take part."""
    old = stack.primary()
    with Load(stack, stack.book) as load:
        broken(old)
        gap = load.goes_on()
        new = stack.primary()
        assert new != old
        time.sleep(AWAY_S)
        mend(old)
        back = stack.wait_active()
        load.goes_on()
        load.every_request_was_answered()
    print(f"       {old} gone, {new} leads: 40 more writes in {gap:.1f} s; back in {back:.1f} s")


def test_the_primary_is_killed(stack):
    after_the_fault(stack, lambda name: docker("kill", name), lambda name: docker("start", name))


def test_the_primary_is_paused(stack):
    after_the_fault(stack, lambda name: docker("pause", name), lambda name: docker("unpause", name))


def test_the_primary_is_cut_off_from_the_network(stack):
    network = stack.network()
    after_the_fault(
        stack,
        lambda name: docker("network", "disconnect", network, name),
        lambda name: docker("network", "connect", "--alias", name, network, name),
    )


def test_a_volume_is_removed(stack):
    """The server comes back with nothing, under its own name, and gets everything."""
    name = next(server for server in SERVERS if server != stack.primary())
    with Load(stack, stack.book) as load:
        docker("rm", "--force", name)
        docker("volume", "rm", stack.volume(name))
        load.goes_on()
        stack.up(name)
        load.goes_on()
        load.every_request_was_answered()
    positions = lambda: {member["name"]: member["applied"] for member in stack.members()}

    def level():
        found = positions()
        return found.get(name) and found[name] >= max(found.values()) - 200

    eventually(f"{name} has what the others have", level, 30)


def swap(one, other):
    """Kills both and lets each come back under the other's address: the engine gives the lowest free
    one to who starts first, so that is who had the higher one."""
    before = {name: address(name) for name in (one, other)}
    docker("kill", *before)
    by_address = sorted(before, key=lambda name: ip_address(before[name]))
    for name in reversed(by_address):
        docker("start", name)
    for name, had in before.items():
        print(f"       {name}: {had} became {address(name)}")
        assert address(name) != had, "the address is the same as before, so this tests nothing"


def test_servers_come_back_under_each_others_addresses(stack):
    backups = [server for server in SERVERS if server != stack.primary()]
    with Load(stack, stack.book) as load:
        swap(*backups)
        back = stack.wait_active()
        load.goes_on()
    print(f"       both take part after {back:.1f} s")


def test_broker_and_proxy_come_back_under_each_others_addresses(stack):
    with Load(stack, stack.book) as load:
        swap("broker", "proxy")
        stack.wait_active()
        load.goes_on()


def test_everything_is_killed_and_started(stack):
    names = ["broker", "proxy", "reference", *SERVERS]
    with Load(stack, stack.book) as load:
        docker("kill", *names)
        docker("start", *reversed(names))
        back = stack.wait_active()
        load.goes_on()
    print(f"       all take part after {back:.1f} s")


def test_everything_is_stopped_and_started(stack):
    with Load(stack, stack.book):
        pass
    stack.compose("stop")
    for name in SERVERS:
        assert inspect(name)["State"]["ExitCode"] == 0, name
    stack.compose("start")
    stack.wait_active()
    with Load(stack, stack.book):
        pass
