# Postern as a container: one static program, the certificate authorities, and a user. See deploy/README.md.

# ---- build: Alpine, whose C library (musl) is linked into the program
FROM rust:1.95-alpine AS build
WORKDIR /build
# aws-lc and mimalloc are compiled from C and assembly.
RUN apk add --no-cache build-base ca-certificates cmake linux-headers
COPY Cargo.toml Cargo.lock ./
COPY benches ./benches
COPY config ./config
COPY src ./src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin postern \
    && install -D -m 0755 target/release/postern /image/postern \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && echo 'postern:x:65532:65532:Postern:/var/lib/postern:/sbin/nologin' > /image/etc/passwd \
    && echo 'postern:x:65532:' > /image/etc/group \
    && mkdir -p /image/etc/postern /data

# ---- run: nothing else is in it; no shell, no package manager, no C library
FROM scratch
LABEL org.opencontainers.image.title="postern" \
      org.opencontainers.image.description="A gateway for machine-to-machine traffic" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 --chmod=0700 /data/ /var/lib/postern/
USER 65532:65532
WORKDIR /var/lib/postern
# 8080 and 8443 for requests, 9090 for operators; the configuration decides which are used.
EXPOSE 8080 8443 9090
VOLUME ["/var/lib/postern"]
STOPSIGNAL SIGTERM
# Alive, not ready: an issuer that is away is no reason to restart. Needs `[admin]` on port 9090; for another one set
# POSTERN_ADMIN_URL, like http://127.0.0.1:9191.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["/postern", "health", "--live"]
ENTRYPOINT ["/postern"]
CMD ["serve", "-c", "/etc/postern/postern.toml"]
