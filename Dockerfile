# The operator's image; with --target sandbox the embedded Makini's, with --target sync that of sync pods.
#
# The first stages install the locked packages and gather the files that tests/images/contents.py lists; the last ones
# hold nothing but those: no shell, no package manager, no tests. `python -m tests.images build` makes the same from the
# same list without a container engine.
#
# Pinned by version. Where your builds must be reproducible to the byte, pin by digest: FROM python:...@sha256:...
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /source
COPY requirements-operator.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements-operator.lock
COPY pyproject.toml ./
COPY tests/localkube/*.py tests/localkube/
COPY tests/images tests/images
COPY operator operator
RUN python -m tests.images rootfs /rootfs

FROM python:3.13.9-slim-bookworm AS build-sync
WORKDIR /source
COPY requirements-sync.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements-sync.lock
COPY pyproject.toml ./
COPY tests/localkube/*.py tests/localkube/
COPY tests/images tests/images
COPY operator operator
RUN python -m tests.images rootfs --image sync /rootfs

FROM scratch AS settings
ENV PATH=/usr/local/bin \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /
USER 65532:65532

FROM settings AS sync
COPY --from=build-sync /rootfs /
ENTRYPOINT ["/usr/local/bin/makini-operator"]

FROM settings AS content
COPY --from=build /rootfs /

FROM content AS sandbox
ENTRYPOINT ["/usr/local/bin/makini-operator", "sandbox"]

FROM content AS operator
ENTRYPOINT ["/usr/local/bin/makini-operator"]
