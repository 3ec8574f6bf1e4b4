"""A person at the client's container."""

from cluster import eventually
from engine import docker, inspect
from terminal import Terminal

# What detaches a terminal from a container.
DETACH = "\x10\x11"


def test_the_line_client_is_attached_to(_):
    with Terminal("docker", "attach", "client") as terminal:
        terminal.type("\rlogin caio\r")
        terminal.until("logged in as caio")
        terminal.type("users\r")
        terminal.until("caio")
        terminal.type("create cozinha\r")
        terminal.until("created and joined cozinha")
        terminal.type("channels\r")
        terminal.until("cozinha")
        terminal.type('pub cozinha "tem café"\r')
        terminal.until("stored on 3 of 3 servers")
        terminal.type('msg caio "só para mim"\r')
        terminal.until("[private")
        terminal.type(DETACH)
        terminal.end()


def test_who_detached_is_still_logged_in(_):
    with Terminal("docker", "attach", "client") as terminal:
        terminal.type("\rhistory cozinha\r")
        terminal.until("tem café")
        terminal.type(DETACH)
        terminal.end()


def test_who_quits_finds_a_new_client(_):
    restarts = inspect("client")["RestartCount"]
    with Terminal("docker", "attach", "client") as terminal:
        terminal.type("\rquit\r")
        terminal.end()

    def again():
        now = inspect("client")
        return now["RestartCount"] > restarts and now["State"]["Running"]

    eventually("the client runs again", again, 15)
    with Terminal("docker", "attach", "client") as terminal:
        terminal.type("\rlogin caio\r")
        terminal.until("logged in as caio")
        terminal.type(DETACH)
        terminal.end()


def test_the_full_screen_opens_in_the_container(_):
    with Terminal("docker", "exec", "-it", "client", "recado", "chat", "--user", "dora") as chat:
        chat.until("dora")
        chat.type("/join cozinha\r")
        chat.until("tem café")
        chat.type("/quit\r")
        assert chat.end() == 0


def test_commands_find_the_cluster(_):
    assert "primary" in docker("exec", "client", "recado", "status")
    assert "primary" in docker("exec", "server1", "recado", "status")
