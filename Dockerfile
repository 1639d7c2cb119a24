# The service on a slim image, as an unprivileged user, with the weights of its model baked in and verified.
#
#   docker build -t depthsvc .
#   docker run -e DEPTHSVC_WORKERS=2 -e DEPTHSVC_WORKER_THREADS=1 -p 127.0.0.1:7860:7860 depthsvc
#
# A container sees all CPUs of its machine, so give the number of workers. Publish the port to others only with API keys.
#
# Nothing but /tmp is written to:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -m 2g \
#     -e DEPTHSVC_WORKERS=2 -e DEPTHSVC_WORKER_THREADS=1 -p 127.0.0.1:7860:7860 depthsvc
#
# What changes rarely and is large comes first: an edit of the sources makes one layer of 8 MB. deploy/README.md
# explains the build arguments.

# The Debian release and the Python that the tests run on. A release is built on its digest.
ARG BASE=python:3.11-slim-bookworm
# embedded: an image without the weights of MiDaS_small.
ARG MODEL=midas_small

# The requirements alone: no other edit of pyproject.toml installs them again.
FROM ${BASE} AS requirements
WORKDIR /src
ARG EXTRAS=""
COPY pyproject.toml ./
RUN python -c "import pathlib, sys, tomllib; \
        document = tomllib.loads(pathlib.Path('pyproject.toml').read_text()); \
        project, extras = document['project'], [name.strip() for name in sys.argv[1].split(',') if name.strip()]; \
        lists = [project['dependencies'], *(project['optional-dependencies'][name] for name in extras)]; \
        pathlib.Path('run.txt').write_text('\n'.join(each for one in lists for each in one)); \
        pathlib.Path('build.txt').write_text('\n'.join(document['build-system']['requires']))" "$EXTRAS"

# Python's packages. What only a build of PyTorch's own extensions or tests needs is left out, and so is pip. Bytecode is
# not compared with its source, and holds no time; parts of torch.testing are for newer Pythons.
FROM ${BASE} AS packages
WORKDIR /src
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH_INDEX
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_COMPILE=0
COPY constraints.txt ./
COPY deploy/install-torch.sh ./deploy/
COPY --from=requirements /src/run.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/depthsvc && \
    deploy/install-torch.sh pip --python /opt/depthsvc/bin/python && \
    pip --python /opt/depthsvc/bin/python install -c constraints.txt -r run.txt && \
    torch=$(echo /opt/depthsvc/lib/python*/site-packages/torch) && \
    rm -rf "$torch/include" "$torch/test" "$torch"/bin/test_* "$torch"/bin/*Test "$torch"/bin/protoc* && \
    find /opt/depthsvc/lib -type d -name tests -prune -exec rm -rf {} + && \
    python -m compileall -q -j 0 -x torch/testing --invalidation-mode unchecked-hash /opt/depthsvc/lib

# Weights are refused unless their SHA-256 begins as the registry says; WEIGHTS_SHA256 pins all of it. The network is
# traced now, so that a container writes nothing. Only the modules that do this are here. Where one of them is edited,
# the weights come from the engine's cache.
FROM packages AS model
ARG MODEL
ARG WEIGHTS_SHA256
ENV DEPTHSVC_MODEL=$MODEL DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache PYTHONPATH=/src PYTHONDONTWRITEBYTECODE=1
COPY src/depthsvc/*.py ./depthsvc/
COPY src/depthsvc/imaging ./depthsvc/imaging
COPY src/depthsvc/machine ./depthsvc/machine
COPY src/depthsvc/model ./depthsvc/model
COPY src/depthsvc/outbound ./depthsvc/outbound
RUN --mount=type=cache,target=/fetched \
    weights="$DEPTHSVC_CACHE_DIR/weights" fetched="/fetched/$DEPTHSVC_MODEL" && \
    mkdir -p "$weights" "$fetched" && cp -R "$fetched/." "$weights" && \
    if [ -n "$WEIGHTS_SHA256" ]; then export DEPTHSVC_WEIGHTS_SHA256="$WEIGHTS_SHA256"; fi && \
    /opt/depthsvc/bin/python -c "from depthsvc.model.prepare import prepare; \
        from depthsvc.model.resolve import resolve; \
        from depthsvc.settings import Settings; \
        settings = Settings(); \
        prepare(resolve(settings.model, settings.weights_locations), settings.cache_dir, settings.engine_choice)" && \
    find "$DEPTHSVC_CACHE_DIR" -name "*.lock" -delete && \
    cp -R "$weights/." "$fetched"

# The package alone.
FROM packages AS package
COPY --from=requirements /src/build.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/build && \
    pip --python /opt/build/bin/python install -c constraints.txt -r build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . && \
    pip --python /opt/depthsvc/bin/python install --no-cache-dir --no-deps --no-index --root /package /wheels/*.whl && \
    python -m compileall -q --invalidation-mode unchecked-hash -s /package -p / /package

FROM ${BASE}
# As numbers, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 depthsvc && \
    SOURCE_DATE_EPOCH=86400 useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin depthsvc
# An init that reaps what a killed process leaves behind; the service does not do so as process 1.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends tini && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache
COPY --from=packages /opt/depthsvc /opt/depthsvc
COPY --from=model /opt/depthsvc-cache /opt/depthsvc-cache
COPY --from=package /package /
ARG MODEL
ENV DEPTHSVC_HOST=0.0.0.0 \
    DEPTHSVC_LOG_FORMAT=json \
    DEPTHSVC_CACHE_DIR=/opt/depthsvc-cache \
    DEPTHSVC_MODEL=$MODEL \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/depthsvc/bin/python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('DEPTHSVC_PORT', '7860') + '/health/ready', timeout=2)"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/depthsvc/bin/depthsvc"]
CMD ["serve"]
ARG BASE
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="depthsvc" \
      org.opencontainers.image.description="Monocular depth as a service: one photo in, its relative inverse depth out" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/depthsvc/depthsvc" \
      org.opencontainers.image.base.name="$BASE" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
