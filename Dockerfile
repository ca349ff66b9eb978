# syntax=docker/dockerfile:1

# ---- build: the same Debian release as the image below, so that the C library fits
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# aws-lc and mimalloc are compiled from C and assembly.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin postern \
    && install -D -m 0755 target/release/postern /image/usr/local/bin/postern \
    && install -d -m 0755 /image/etc/postern \
    && install -d -m 0750 -o 65532 -g 65532 /image/var/lib/postern

# ---- run: the C library, CA certificates and a user, nothing else: no shell, no package manager
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="postern" \
      org.opencontainers.image.description="A gateway for machine-to-machine traffic" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /var/lib/postern
# 8080 and 8443 for requests, 9090 for operators; the configuration decides which are used.
EXPOSE 8080 8443 9090
VOLUME ["/var/lib/postern"]
STOPSIGNAL SIGTERM
# Alive, not ready: an issuer that is away is no reason to restart. Needs `[admin]` on port 9090; for another one set
# POSTERN_ADMIN_URL, like http://127.0.0.1:9191.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["/usr/local/bin/postern", "health", "--live"]
ENTRYPOINT ["/usr/local/bin/postern"]
CMD ["serve", "-c", "/etc/postern/postern.toml"]
