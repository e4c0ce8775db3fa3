# The server as a container image, without its embedded parts: it wants a DynamoDB, and a Kafka or none.
#
#   docker build --tag notifications .
#
# Both stages are of one Debian release (trixie is 13), so that the glibc that the server was linked against
# is the one that it meets.

FROM rust:1.95.0-slim-trixie AS build

# Not pinned: the release's own security updates are wanted, and nothing of these packages is shipped.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake g++ make perl \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .

# What was compiled stays in BuildKit's caches: after a change only our own crates are built anew. The
# binary has to leave the cache in the same step, for it is not part of the layer.
ARG TARGETARCH
RUN --mount=type=cache,id=cargo-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=cargo-target-${TARGETARCH},target=/src/target,sharing=locked \
    cargo build --locked --release --package server --no-default-features \
 && install -D --mode=0755 target/release/server /out/server

# glibc, libgcc, the CAs' certificates and a user; no shell, no package manager. It has no version but its
# digest, which is the one of the index for all architectures.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:e792ab3d241a468a4fd7519ddbbebe66b49b5f365771716ea688ad40b6c6f1c2

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="notifications" \
      org.opencontainers.image.description="Takes notifications by HTTP and delivers them by e-mail, SMS or push." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /out/server /usr/local/bin/server

# In a container whoever is to reach it comes from outside. It still refuses to start there without
# API_KEYS_FILE, as long as nobody said ALLOW_ANONYMOUS=true.
ENV STORE=dynamodb \
    LISTEN_ADDR=0.0.0.0:8080 \
    LOG_FORMAT=json

# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/server", "health"]
ENTRYPOINT ["/usr/local/bin/server"]
