# What people do every day. `just` alone lists it.

_default:
    @just --list --unsorted

# Chat on a whole cluster, with bots, in this terminal.
demo *args:
    cargo run --release -- demo {{args}}

# A whole cluster with its logs in this terminal.
up *args:
    cargo run --release -- up {{args}}

# The chat client on a running cluster.
client *args:
    cargo run --release -- client {{args}}

# Who is primary, who is behind.
status *args:
    cargo run --release -- status {{args}}

# All tests.
test *args:
    cargo test --workspace {{args}}

# The tests that start the real binary, one after the other, with their output.
test-cluster *args:
    cargo test -p recado --tests -- --nocapture --test-threads=1 {{args}}

# What a frame of a conversation of 100 000 messages costs.
frames:
    cargo test --release -p recado-terminal --lib -- --ignored --nocapture measured

# The pictures of the README, from the running program.
screenshots:
    cargo test -p recado --test cluster -- --ignored screenshots

# The standard's Python clients against a real cluster.
test-python:
    mkdir -p target
    test -x target/python.venv/bin/python || python3 -m venv target/python.venv
    target/python.venv/bin/pip install --quiet --requirement tests/python/requirements.txt
    cargo build -p recado
    target/python.venv/bin/python tests/python/run.py target/debug/recado

# A cluster of containers on the real engine, broken as hosts break.
test-containers *args:
    mkdir -p target
    test -x target/python.venv/bin/python || python3 -m venv target/python.venv
    target/python.venv/bin/pip install --quiet --requirement tests/python/requirements.txt
    target/python.venv/bin/python tests/containers/run.py {{args}}

# A cluster of real processes, broken on purpose.
drill *args:
    cargo run --release -- drill {{args}}

# The deterministic drill: so many seeds, from this one on.
simulate seeds="1000" first="1":
    RECADO_SIM_SEEDS={{seeds}} RECADO_SIM_FIRST={{first}} cargo test --release -p recado-drill --test simulated -- --nocapture many_seeds

# Every decoder, fed with bytes for so many seconds; needs a nightly compiler and cargo-fuzz.
fuzz seconds="60":
    cd fuzz && for target in $(cargo +nightly fuzz list); do cargo +nightly fuzz run $target -- -max_total_time={{seconds}} || exit 1; done

# Bugs that are planted on purpose are caught.
test-planted:
    cargo test -p recado-drill --features planted -- planted --nocapture

# Formatting and lints, as CI wants them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# What CI runs.
ci:
    .ci/run

# Licences and sources of what we depend on.
deny:
    cargo deny check bans licenses sources

# Crates that are in the tree in two versions.
duplicates:
    cargo tree --duplicates --edges normal

# The API documentation of our own crates.
doc:
    cargo doc --workspace --no-deps --open
