# The service on a slim image, as an unprivileged user, with the MiDaS_small weights baked in and verified.
#
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t depthsvc .
#   docker run -e DEPTHSVC_WORKERS=2 -e DEPTHSVC_WORKER_THREADS=1 -p 127.0.0.1:7860:7860 depthsvc
#
# A container sees all CPUs of its machine, so give the number of workers. Publish the port to others only with API keys.
# PIP_EXTRA_INDEX_URL is PyTorch's own index of CPU builds; its address is on pytorch.org under "Get started". Without it
# pip takes the default build, whose CUDA makes the image several gigabytes larger.
#
# Nothing but /tmp is written to:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -m 2g \
#     -e DEPTHSVC_WORKERS=2 -e DEPTHSVC_WORKER_THREADS=1 -p 127.0.0.1:7860:7860 depthsvc
#
# deploy/README.md tells of the other build arguments.

# The Debian release and the Python that the tests run on.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
ARG EXTRAS=""
# What only a build of PyTorch's own extensions or its tests need is left out, and so is pip.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/depthsvc && \
    pip --python /opt/depthsvc/bin/python install -c constraints.txt ".${EXTRAS:+[$EXTRAS]}" && \
    rm -rf /opt/depthsvc/lib/python*/site-packages/torch/include \
        /opt/depthsvc/lib/python*/site-packages/torch/test \
        /opt/depthsvc/lib/python*/site-packages/torch/bin/test_* \
        /opt/depthsvc/lib/python*/site-packages/torch/bin/protoc*
# Weights are refused unless their SHA-256 begins as the registry says; WEIGHTS_SHA256 pins all of it. The network is
# traced now, so that a container writes nothing.
ARG FETCH_WEIGHTS=true
ARG WEIGHTS_SHA256=""
ENV DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache
RUN mkdir -p "$DEPTHSVC_CACHE_DIR" && \
    if [ "$FETCH_WEIGHTS" = true ]; then model=midas_small; else model=embedded; fi && \
    if [ -n "$WEIGHTS_SHA256" ]; then export DEPTHSVC_WEIGHTS_SHA256="$WEIGHTS_SHA256"; fi && \
    DEPTHSVC_MODEL="$model" /opt/depthsvc/bin/python -c "from depthsvc import DepthEstimator; DepthEstimator()" && \
    find "$DEPTHSVC_CACHE_DIR" -name "*.lock" -delete

FROM ${BASE}
# A number, so that an orchestrator can see that it is not root.
RUN useradd --system --no-create-home --uid 10001 depthsvc
# An init that reaps what a killed process leaves behind; the service does not do so as process 1.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/depthsvc /opt/depthsvc
COPY --from=build /opt/depthsvc-cache /opt/depthsvc-cache
ENV DEPTHSVC_HOST=0.0.0.0 \
    DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache \
    DEPTHSVC_MODEL=midas_small \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/depthsvc/bin/python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('DEPTHSVC_PORT', '7860') + '/health/ready', timeout=2)"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/depthsvc/bin/depthsvc"]
CMD ["serve"]
LABEL org.opencontainers.image.title="depthsvc" \
      org.opencontainers.image.description="Monocular depth as a service: one photo in, its relative inverse depth out" \
      org.opencontainers.image.licenses="MIT"
