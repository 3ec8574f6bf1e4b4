# The official Rust image's likeness, for `bases`: compiler, linker and toolchain in the same places.
ARG RUNTIME_BASE
FROM ${RUNTIME_BASE}
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:$PATH
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY certificates /usr/local/share/ca-certificates
RUN update-ca-certificates
COPY cargo /usr/local/cargo
COPY toolchain /usr/local/rust
RUN cargo --version && rustc --version
