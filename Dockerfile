# An image of rootward: worker, command line and gateway. LIST chooses what is installed with it:
# `worker` is rootward alone, `demo` adds what the examples need. Build your own on top of it:
#   FROM rootward
#   RUN pip install what-your-modules-import
FROM python:3.11-slim-bookworm AS build
ARG LIST=worker
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/rootward \
    && /opt/rootward/bin/pip install --no-cache-dir --require-hashes -r requirements/$LIST.txt
COPY pyproject.toml README.md LICENSE ./
COPY rootward/ rootward/
COPY modules/ modules/
COPY orchestrator/ orchestrator/
COPY worker/ worker/
RUN /opt/rootward/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /app --shell /usr/sbin/nologin rootward
COPY --from=build /opt/rootward /opt/rootward
# Compiled files can't be written in a read-only container, and output is wanted as it comes.
ENV PATH=/opt/rootward/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Where deployed code is unpacked: the only place that such a container can write to.
ENV ROOTWARD_CACHE=/tmp/rootward
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["rootward", "worker"]
