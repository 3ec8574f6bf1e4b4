"""The mission's test: start, chat, stop the primary's container, see the election, go on, start it
again. With clients that know the standard and nothing else."""

from engine import docker
from load import CHANNEL, OTHER, USER, Load
from standard import Req, Sub, subscribed


def test_chat(stack):
    with Req(stack) as req:
        assert {USER, OTHER} <= set(req.ask("users")["users"])
        assert CHANNEL in req.ask("channels")["channels"]
        with subscribed(stack, req, USER, CHANNEL, CHANNEL, OTHER) as sub:
            found = req.ask("publish", user=USER, channel=CHANNEL, message="bom dia")
            assert found["status"] == "OK", found
            sub.until(lambda event: event[:2] == (CHANNEL, "publication")
                      and event[2]["message"] == "bom dia")
            found = req.ask("message", src=USER, dst=OTHER, message="e aí?")
            assert found["status"] == "OK", found
            sub.until(lambda event: event[:2] == (OTHER, "private_message")
                      and event[2]["message"] == "e aí?")


def bots_talk(events, count, within_s=20):
    """Waits until so many bots were heard."""
    heard = set()
    while len(heard) < count:
        said = events.until(lambda event: event[1] == "publication", within_s)
        user = said[-1][2]["user"]
        if user.startswith("bot-"):
            heard.add(user)


def test_the_bots_talk(stack):
    with Req(stack) as req:
        topics = req.ask("channels")["channels"]
    # The channels that bots create begin so.
    with Sub(stack, "about-", *topics) as events:
        bots_talk(events, 2)


def test_the_primary_is_stopped_and_started_again(stack):
    old = stack.primary()
    with Sub(stack, "servers") as elections, Load(stack, stack.book) as load:
        taken = stack.stop(old)
        gap = load.goes_on()
        seen = elections.until(
            lambda event: event[1] == "election" and event[2]["coordinator"] != old, within_s=15
        )
        new = seen[-1][2]["coordinator"]
        assert stack.primary() == new
        print(f"       {old} stopped in {taken:.1f} s; {new} leads, 40 more writes in {gap:.1f} s")
        docker("start", old)
        back = stack.wait_active()
        print(f"       {old} takes part again after {back:.1f} s")
        assert stack.primary() == new, "who returns does not take over"
        load.goes_on()
        load.every_request_was_answered()


def test_every_role_stops_cleanly_and_comes_back(stack):
    for role in ["reference", "proxy", "broker", "bot1", "client"]:
        if role == "client":
            docker("stop", role)
        else:
            stack.stop(role)
        docker("start", role)
    stack.wait_active()
    with Load(stack, stack.book):
        pass
