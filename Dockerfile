# The service on a slim image, as an unprivileged user, with the MiDaS_small weights baked in and verified.
#
#   docker build -t depthsvc .
#   docker run -p 7860:7860 depthsvc
#
# PyTorch's index of CPU builds (its address is on pytorch.org under "Get started") saves several gigabytes:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t depthsvc .
# --build-arg FETCH_WEIGHTS=false builds without network access to the weights; then give DEPTHSVC_MODEL=embedded,
# or mount a folder with the weights and name it in DEPTHSVC_WEIGHTS_DIR.

FROM python:3.12-slim AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/depthsvc
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN /opt/depthsvc/bin/pip install -c constraints.txt .
ARG FETCH_WEIGHTS=true
ENV DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache
# Also trace the network now, so that the container starts without writing anything.
RUN mkdir -p "$DEPTHSVC_CACHE_DIR" && \
    if [ "$FETCH_WEIGHTS" = true ]; then model=midas_small; else model=embedded; fi && \
    /opt/depthsvc/bin/python -c "from depthsvc import DepthEstimator; DepthEstimator('$model')"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="depthsvc" \
      org.opencontainers.image.description="Monocular depth as a service" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --no-create-home --uid 10001 depthsvc
COPY --from=build /opt/depthsvc /opt/depthsvc
COPY --from=build /opt/depthsvc-cache /opt/depthsvc-cache
ENV DEPTHSVC_HOST=0.0.0.0 \
    DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache \
    DEPTHSVC_MODEL=midas_small \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["/opt/depthsvc/bin/python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('DEPTHSVC_PORT', '7860') + '/health/ready', timeout=2)"]
ENTRYPOINT ["/opt/depthsvc/bin/depthsvc"]
CMD ["serve"]
