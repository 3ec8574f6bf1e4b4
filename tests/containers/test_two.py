"""compose.ha.yaml: two brokers and two proxies, of which the first are killed."""

from cluster import eventually
from engine import docker
from load import CHANNEL, USER, Load
from standard import Req, Sub, subscribed
from test_mission import bots_talk
from terminal import Terminal


class Second:
    """The second broker and proxy, as a cluster that clients find there."""

    @staticmethod
    def endpoint(offset):
        return f"tcp://127.0.0.1:{5585 + offset}"


def BEFORE(stack):
    """The same data under the other set of containers."""
    if "compose.ha.yaml" not in stack.files:
        stack.down()
        stack.files.append("compose.ha.yaml")
    stack.up()
    eventually("the second broker has servers", second_answers, 30)


def second_answers():
    with Req(Second) as req:
        return req.ask("users").get("users")


class Killed:
    """These containers are dead for as long as the block lasts."""

    def __init__(self, stack, *names):
        self.stack, self.names = stack, names

    def __enter__(self):
        docker("kill", *self.names)

    def __exit__(self, *_):
        docker("start", *self.names)
        self.stack.wait_active()


def test_a_standard_client_on_the_other_broker_notices_nothing(stack):
    with Load(Second, stack.book) as load:
        with Killed(stack, "broker"):
            gap = load.goes_on()
        load.goes_on()
        load.every_request_was_answered()
    print(f"       40 more writes through the second broker in {gap:.1f} s")
    assert gap < 2


def test_events_pass_through_the_other_proxy(stack):
    with Req(Second) as req, subscribed(Second, req, USER, CHANNEL, CHANNEL) as sub:
        with Killed(stack, "proxy"):
            for number in range(50):
                text = f"through the second proxy {number}"
                found = req.ask("publish", user=USER, channel=CHANNEL, message=text)
                assert found["status"] == "OK", found
                sub.until(lambda event: event[2]["message"] == text)


def test_the_bots_move_on(stack):
    with Req(Second) as req:
        topics = req.ask("channels")["channels"]
    with Sub(Second, "about-", *topics) as events, Killed(stack, "broker", "proxy"):
        bots_talk(events, 2)


def test_a_chat_moves_on(stack):
    command = ["docker", "exec", "-it", "client", "recado", "client", "--user", "eva"]
    with Terminal(*command) as terminal:
        terminal.until("logged in as eva")
        terminal.until("> ")
        terminal.answers(f"join {CHANNEL}", "joined")
        with Killed(stack, "broker", "proxy"):
            terminal.type(f'pub {CHANNEL} "ainda aqui"\r')
            terminal.until("stored on 3 of 3 servers", "eva: ainda aqui")
        terminal.type("quit\r")
        assert terminal.end() == 0
