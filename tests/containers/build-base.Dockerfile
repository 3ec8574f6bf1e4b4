# The official Rust image's likeness, for `bases`: compiler, linker and toolchain.
ARG RUNTIME_BASE
FROM ${RUNTIME_BASE}
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:$PATH
COPY apt /etc/apt/apt.conf.d
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY certificates /etc/ssl/certs
COPY cargo /usr/local/cargo
COPY toolchain /usr/local/rust
RUN cargo --version && rustc --version
