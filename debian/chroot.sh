# Sourced by scripts/build-deb, build-images and test-deb: Debian systems in folders, to build and to test in.
# Needs root and debootstrap. Writes to CACHE and to folders of its own in /var/tmp, which it removes at the end.
# shellcheck shell=bash

CACHE=${NESGW_CACHE:-/var/cache/nesgw-packaging}
ROOT=""
TAR=""

as_root() { # SCRIPT ARGUMENT…: go on as root
  [ "$(id -u)" = 0 ] || exec sudo --preserve-env=MIRROR,NESGW_CACHE,LINTIAN,PIP_INDEX_URL,http_proxy,https_proxy -- "$@"
}

need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || { echo "needs $1; run: sudo apt install $2" >&2; exit 69; }
}

# $MIRROR, or the Debian mirror that this machine takes its own packages from; nothing where it has none (Raspbian is not
# Debian): debootstrap knows Debian's own.
mirror() {
  if [ -n "${MIRROR:-}" ]; then echo "$MIRROR"; return; fi
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|Debian|main|//p' | sed -n 1p || true # no apt: no mirror
}

runs_here() { # ARCH: can this machine run programs of that architecture?
  local interpreter
  case $1 in arm64) interpreter=qemu-aarch64 ;; armhf) interpreter=qemu-arm ;; *) interpreter=none ;; esac
  [ "$1" = "$(dpkg --print-architecture)" ] || [ -e /proc/sys/fs/binfmt_misc/$interpreter ]
}

# The archive of a root of SUITE-ARCH with PACKAGES; made once. Sets TAR.
make_tar() { # SUITE ARCH PACKAGE…
  local suite=$1 arch=$2 from log
  shift 2
  need debootstrap debootstrap
  mkdir -p "$CACHE"
  TAR=$CACHE/$suite-$arch-$(echo "$@" | sha256sum | cut -c1-12).tar
  if [ -f "$TAR" ]; then return; fi
  log=$CACHE/$suite-$arch.log
  echo "making a $suite for $arch; it is kept in $CACHE, which may be deleted at any time" >&2
  from=$(mirror)
  ROOT=$(mktemp -d "/var/tmp/nesgw-$suite-$arch.XXXXXX")
  trap close_root EXIT
  debootstrap --variant=minbase --arch="$arch" --include=ca-certificates "$suite" "$ROOT" ${from:+"$from"} >"$log" 2>&1 ||
    { tail -5 "$log" >&2; exit 69; }
  printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
  chmod 755 "$ROOT/usr/sbin/policy-rc.d"
  echo 'Acquire::Languages "none";' >"$ROOT/etc/apt/apt.conf.d/90small"
  mount_root
  if [ $# -gt 0 ]; then in_root apt-get -y -qq --no-install-recommends install "$@" >>"$log" 2>&1 ||
    { tail -5 "$log" >&2; exit 69; }; fi
  unmount_root
  tar -C "$ROOT" --one-file-system -cf "$TAR.new" .
  mv "$TAR.new" "$TAR"
  close_root
}

# A root of SUITE-ARCH with PACKAGES, from its archive. Sets ROOT.
open_root() { # SUITE ARCH PACKAGE…
  make_tar "$@"
  ROOT=$(mktemp -d "/var/tmp/nesgw-$1-$2.XXXXXX")
  trap close_root EXIT
  tar -C "$ROOT" -xf "$TAR"
  chmod 755 "$ROOT"  # apt fetches as a user of its own
  mount_root
  in_root apt-get -qq update
}

mount_root() {
  cp -L /etc/resolv.conf /etc/hosts "$ROOT/etc/"
  mount -t proc proc "$ROOT/proc"
  mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=0620 devpts "$ROOT/dev/pts"
  ln -sf pts/ptmx "$ROOT/dev/ptmx"
  mount -t tmpfs tmpfs "$ROOT/run"
  mkdir -p "$ROOT/dev/shm"
  mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
}

unmount_root() {
  local place
  for place in dev/shm run dev/pts proc; do
    if mountpoint -q "$ROOT/$place"; then umount "$ROOT/$place"; fi
  done
}

close_root() {
  [ -n "$ROOT" ] || return 0
  unmount_root
  rm -rf --one-file-system "$ROOT"
  ROOT=
}

in_root() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} chroot "$ROOT" "$@"
}
