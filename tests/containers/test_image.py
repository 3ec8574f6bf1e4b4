"""What the image is: small, of one user who is not root, the same for every role."""

import os
import re
import tempfile

from engine import IMAGE, ROOT, docker, inspect, run

# What the image may have beside the base and the stripped binary.
ALLOWED_BYTES = 10 * 1000 * 1000


def runtime_base():
    with open(f"{ROOT}/Dockerfile") as file:
        return re.search(r"^ARG RUNTIME_BASE=(\S+)", file.read(), re.M).group(1)


def size(image):
    return inspect(image)["Size"]


def in_image(*command):
    return docker("run", "--rm", "--entrypoint", command[0], IMAGE, *command[1:])


def stripped_binary():
    """The length of the image's binary without its symbols."""
    created = docker("create", IMAGE)
    try:
        with tempfile.TemporaryDirectory() as folder:
            binary = os.path.join(folder, "recado")
            docker("cp", f"{created}:/usr/local/bin/recado", binary)
            run("strip", binary)
            return os.path.getsize(binary)
    finally:
        docker("rm", created)


def test_the_image_is_the_base_and_the_binary(_):
    binary = stripped_binary()
    more = size(IMAGE) - size(runtime_base()) - binary
    print(f"       the binary has {binary / 1e6:.1f} MB, the image {more / 1e6:.1f} MB beside it")
    assert more < ALLOWED_BYTES


def test_nobody_is_root(_):
    assert in_image("id", "--user") != "0"
    assert in_image("sh", "-c", "test -w /var/lib/recado && echo yes") == "yes"
    assert in_image("sh", "-c", "test -w /usr/local/bin/recado || echo no") == "no"


def test_the_entry_point_is_recado(_):
    assert docker("run", "--rm", IMAGE, "--version").startswith("recado ")
    labels = inspect(IMAGE)["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Recado", labels
    assert docker("run", "--rm", IMAGE, "--version").split()[1] == labels[
        "org.opencontainers.image.version"
    ]
