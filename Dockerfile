# One image for all roles of Recado: `docker build -t recado .`, then `docker run recado broker` and
# the like. The classic builder is enough. The build base must not have a newer C library than the
# runtime base: keep both on one release of Debian.
ARG BUILD_BASE=rust:1.95-slim-trixie
ARG RUNTIME_BASE=debian:trixie-slim

# Tools that the allocator's build needs beside the compiler.
FROM ${BUILD_BASE} AS tools
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# The manifests, with an empty file in place of every target that they name or imply. What comes out
# stays the same, byte for byte, as long as only code changes, and with it the next stage's layer.
FROM tools AS manifests
COPY . .
RUN set -eu; \
    mkdir /manifests; \
    cp -R --parents .cargo Cargo.toml Cargo.lock crates/*/Cargo.toml /manifests; \
    stub() { mkdir -p "/manifests/${1%/*}"; echo 'fn main() {}' > "/manifests/$1"; }; \
    for root in crates/*/src/lib.rs crates/*/src/main.rs; do \
        [ ! -e "$root" ] || stub "$root"; \
    done; \
    for target in crates/*/benches/*.rs crates/*/tests/*.rs crates/*/examples/*.rs; do \
        name=$(basename "$target" .rs); \
        crate=${target%/*/*}; \
        if grep -q "^name = \"$name\"" "$crate/Cargo.toml"; then stub "$target"; fi; \
    done

FROM tools AS build
# Dependencies only.
COPY --from=manifests /manifests ./
RUN cargo build --release --locked --package recado
# Then what is ours. The stubs are younger than the files that come now, so cargo would take what it
# made of them for up to date.
COPY . .
RUN find crates -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package recado \
    && cp target/release/recado /usr/local/bin/recado

FROM ${RUNTIME_BASE}
# As in Cargo.toml; a test compares them.
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Recado" \
      org.opencontainers.image.description="A distributed chat over ZeroMQ on replicated servers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# A volume that is mounted here for the first time gets this folder's owner.
RUN groupadd --gid 10001 recado \
    && useradd --uid 10001 --gid recado --create-home --shell /usr/sbin/nologin recado \
    && install --directory --owner=recado --group=recado --mode=0700 /var/lib/recado
COPY LICENSE* /usr/share/doc/recado/
COPY --from=build /usr/local/bin/recado /usr/local/bin/recado
USER recado
WORKDIR /home/recado
ENV LANG=C.UTF-8 RECADO_DATA_DIR=/var/lib/recado
ENTRYPOINT ["recado"]
CMD ["help"]
