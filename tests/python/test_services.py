"""Every service of the standard, as a program that knows only the standard uses it."""

import time

from standard import Req, Sub, subscribed


def CLUSTER(cluster):
    cluster.up(3)


def test_login_and_users(cluster):
    with Req(cluster) as req:
        assert req.ask("login", user="ana")["status"] == "sucesso"
        assert req.ask("login", user="bia de souza")["status"] == "sucesso"
        assert req.ask("login", user="ana")["status"] == "sucesso", "a known name may come again"
        names = req.ask("users")["users"]
        assert {"ana", "bia de souza"} <= set(names) and len(names) == len(set(names)), names


def test_invalid_names_are_refused(cluster):
    with Req(cluster) as req:
        for name in ["", " ", "a" * 65, "two  spaces", "tab\t", "servers", " edge", "e\u0301"]:
            found = req.ask("login", user=name)
            assert found["status"] == "erro" and found["description"] and found["code"], name
        assert req.ask("login", user="é" * 64)["status"] == "sucesso", "characters, not bytes"


def test_channels_under_both_keys(cluster):
    with Req(cluster) as req:
        assert req.ask("channel", channel="rust")["status"] == "sucesso"
        again = req.ask("channel", channel="rust")
        assert again["status"] == "erro" and again["description"], again
        assert again["code"] == "channel_exists", again
        found = req.ask("channels")
        assert "rust" in found["channels"], found
        assert found["channels"] == found["users"], "the standard's key and the usual one"


def test_a_publication_reaches_two_subscribers(cluster):
    with Req(cluster) as req:
        req.ask("login", user="carla")
        req.ask("channel", channel="noticias")
        first = subscribed(cluster, req, "carla", "noticias", "noticias")
        second = subscribed(cluster, req, "carla", "noticias", "noticias")
        with first, second:
            while first.next(0.3):
                pass
            before = int(time.time() * 1000)
            sent = req.ask("publish", user="carla", channel="noticias", message="olá")
            assert sent["status"] == "OK", sent
            for sub in (first, second):
                topic, service, data = sub.until(lambda event: event[2]["message"] == "olá")[-1]
                assert (topic, service) == ("noticias", "publication")
                assert (data["user"], data["channel"]) == ("carla", "noticias"), data
                assert abs(data["timestamp"] - before) < 10_000, data
                assert isinstance(data["clock"], int), data


def test_publish_refusals(cluster):
    with Req(cluster) as req:
        req.ask("channel", channel="aberto")
        found = req.ask("publish", user="x", channel="no such channel", message="?")
        assert found["status"] == "erro" and found["message"], found
        assert found["code"] == "unknown_channel", found
        found = req.ask("publish", user="", channel="aberto", message="?")
        assert found["status"] == "erro" and found["message"] and found["code"], found
        found = req.ask("publish", user="never logged in", channel="aberto", message="!")
        assert found["status"] == "OK", "a sender who never logged in is accepted"
        found = req.ask("publish", user="x", channel="aberto", message="y" * (64 * 1024 + 1))
        assert found["status"] == "erro" and found["code"] == "too_large", found


def test_a_private_message_is_on_the_recipients_topic_only(cluster):
    with Req(cluster) as req:
        for user in ("duda", "edu", "eva"):
            req.ask("login", user=user)
        req.ask("channel", channel="sala")
        with subscribed(cluster, req, "duda", "sala", "") as everything:
            sent = req.ask("message", src="duda", dst="edu", message="só para ti")
            assert sent["status"] == "OK", sent
            req.ask("publish", user="duda", channel="sala", message="fim")
            seen = everything.until(lambda event: event[2].get("message") == "fim", 10)
            private = [event for event in seen if event[1] == "private_message"]
            assert [event[0] for event in private] == ["edu"], private
            data = private[0][2]
            assert (data["src"], data["dst"], data["message"]) == ("duda", "edu", "só para ti")
            assert isinstance(data["timestamp"], int) and isinstance(data["clock"], int)


def test_message_refusals(cluster):
    with Req(cluster) as req:
        req.ask("login", user="fabio")
        found = req.ask("message", src="fabio", dst="nobody here", message="?")
        assert found["status"] == "erro" and found["message"], found
        assert found["code"] == "unknown_user", found
        found = req.ask("message", src="", dst="fabio", message="?")
        assert found["status"] == "erro" and found["code"], found


def test_a_name_is_a_user_or_a_channel(cluster):
    with Req(cluster) as req:
        req.ask("login", user="gil")
        found = req.ask("channel", channel="gil")
        assert found["status"] == "erro" and found["code"] == "name_taken", found
        req.ask("channel", channel="gatos")
        found = req.ask("login", user="gatos")
        assert found["status"] == "erro" and found["code"] == "name_taken", found


def test_an_unknown_service_is_named_and_refused(cluster):
    with Req(cluster) as req:
        found = req.ask("dance", user="x")
        assert found["status"] == "erro" and found["description"] and found["code"], found


def test_order_and_times_within_a_channel(cluster):
    with Req(cluster) as req:
        req.ask("channel", channel="ordem")
        with subscribed(cluster, req, "hugo", "ordem", "ordem") as sub:
            for number in range(50):
                req.ask("publish", user="hugo", channel="ordem", message=f"n{number}")
            seen = sub.until(lambda event: event[2]["message"] == "n49", 10)
            texts = [e[2]["message"] for e in seen if e[2]["message"].startswith("n")]
            assert texts == [f"n{number}" for number in range(50)], texts
            times = [event[2]["timestamp"] for event in seen]
            clocks = [event[2]["clock"] for event in seen]
            assert times == sorted(times) and clocks == sorted(clocks)


def test_subscriptions_match_by_prefix(cluster):
    with Req(cluster) as req:
        for name in ("mar", "maré"):
            req.ask("channel", channel=name)
        with subscribed(cluster, req, "iris", "mar", "mar") as sub:
            req.ask("publish", user="iris", channel="maré", message="longer")
            topic, _, data = sub.until(lambda event: event[2]["message"] == "longer")[-1]
            assert topic == data["channel"] == "maré", "the topic tells the two apart"


def test_the_coordinator_topic_can_be_subscribed(cluster):
    with Sub(cluster, "servers") as sub:
        event = sub.next(0.2)
        assert event is None or event[1] == "election", event
