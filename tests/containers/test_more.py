"""Two more servers, by the profile."""

from engine import SERVERS
from load import Load

MORE = ["server4", "server5"]


def test_two_more_servers_join(stack):
    stack.compose("--profile", "more", "up", "-d", "--no-build", *MORE)
    back = stack.wait_active(*SERVERS, *MORE)
    print(f"       {', '.join(MORE)} take part after {back:.1f} s")
    with Load(stack, stack.book) as load:
        stack.stop(stack.primary())
        load.goes_on()
        load.every_request_was_answered()
