# Builds nesgw's Debian package on any machine with Docker, from the repository's root, beside the image's recipe:
#   docker build -f deploy/container/package.Dockerfile --output deploy/home-assistant-app .
ARG BUILD_FROM=debian:trixie-slim
FROM ${BUILD_FROM} AS build
COPY . /build/nesgw
WORKDIR /build/nesgw
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && DEBIAN_FRONTEND=noninteractive apt-get build-dep -y --no-install-recommends ./ \
    && dpkg-buildpackage -b -uc -us

FROM scratch
COPY --from=build /build/nesgw_*_all.deb /
