"""A person at the client's container."""

from cluster import eventually
from engine import docker, inspect
from standard import Req
from terminal import Terminal

# What detaches a terminal from a container.
DETACH = "\x10\x11"


def attached():
    """A terminal that is attached to the client, at its prompt.

    The engine may refuse to attach to a container that is just being started, or attach to the
    one that is just ending: then another attempt is made.
    """
    return eventually("a prompt after Enter", attach, 40)


def attach():
    """One attempt; none when no prompt came."""
    terminal = Terminal("docker", "attach", "client")
    # The terminal is the container's only from some moment on, and what is typed ahead may be lost.
    for _ in range(10):
        if terminal.shows("> ", after="\r"):
            terminal.until_quiet()
            return terminal
        if terminal.process.poll() is not None:
            break
    terminal.close()
    return None


def test_the_line_client_is_attached_to(_):
    with attached() as terminal:
        terminal.answers("login caio", "logged in as caio")
        terminal.answers("users", "caio")
        terminal.answers("create cozinha", "created and joined cozinha")
        terminal.answers("channels", "cozinha")
        terminal.answers('pub cozinha "tem café"', "stored on 3 of 3 servers")
        terminal.answers('msg caio "só para mim"', "stored on 3 of 3 servers")
        terminal.type(DETACH)
        terminal.end()


def test_who_detached_is_still_logged_in(_):
    with attached() as terminal:
        terminal.answers("history cozinha", "tem café")
        terminal.type(DETACH)
        terminal.end()


def test_who_quits_finds_a_new_client(_):
    restarts = inspect("client")["RestartCount"]
    with attached() as terminal:
        terminal.type("quit\r")
        terminal.end()

    def again():
        now = inspect("client")
        return now["RestartCount"] > restarts and now["State"]["Running"]

    eventually("the client runs again", again, 15)
    with attached() as terminal:
        terminal.answers("login caio", "logged in as caio")
        terminal.type(DETACH)
        terminal.end()


def test_the_full_screen_opens_in_the_container(stack):
    with Terminal("docker", "exec", "-it", "client", "recado", "chat", "--user", "dora") as chat:
        chat.until("dora")
        chat.type("/join cozinha\r")
        chat.until("#cozinha")
        chat.type("quero um pouco\r")

        def written():
            with Req(stack) as req:
                rows = req.ask("history", channel="cozinha").get("messages", [])
            return [row for row in rows if row["message"] == "quero um pouco"]

        eventually("what was typed is in the history", written, 15)
        chat.type("/quit\r")
        assert chat.end() == 0


def test_commands_find_the_cluster(_):
    assert "primary" in docker("exec", "client", "recado", "status")
    assert "primary" in docker("exec", "server1", "recado", "status")
