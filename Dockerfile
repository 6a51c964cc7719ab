# The image of agb-operator; it holds agb-simulator as well. `make image` builds it with whatever engine is there.
#
# Any image with Python 3.11 to 3.13 and its venv module serves as BASE, so that an organisation can put its own.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/ requirements/
# Two environments: pip and the build backend stay in the first, and only the second is shipped. Every package
# comes with the hash it was locked with.
RUN python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
 && python3 -m venv --without-pip /opt/agb-operator \
 && /opt/build/bin/python -m pip --python /opt/agb-operator/bin/python install --no-cache-dir --only-binary :all: \
    --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
 && /opt/build/bin/python -m pip --python /opt/agb-operator/bin/python install --no-cache-dir --no-deps --no-index \
    /wheel/*.whl

FROM ${BASE}
# What is not needed to run cannot be reported by a scanner; the official Python images bring a pip.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip
COPY --from=build /opt/agb-operator /opt/agb-operator
COPY LICENSE /licenses/LICENSE

# Any user id works. It has no entry in /etc/passwd, and some libraries ask for its name or its home.
# The root file system may be read-only: Python's bytecode is compiled above.
ENV PATH=/opt/agb-operator/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    USER=agb-operator \
    HOME=/
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["agb-operator"]
CMD ["run"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="agb-operator" \
      org.opencontainers.image.description="Pauses and resumes AGB cloud sessions by a Kubernetes resource" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
