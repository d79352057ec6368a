# Sourced by scripts/build-deb and scripts/test-deb: Debian systems in folders, to build and to test in.
# Needs root and debootstrap. Writes to CACHE and to folders of its own in /var/tmp, which it removes at the end.
# shellcheck shell=bash

CACHE=${NESGW_CACHE:-/var/cache/nesgw-packaging}
ROOT=

as_root() { # SCRIPT ARGUMENT…: go on as root
  [ "$(id -u)" = 0 ] || exec sudo --preserve-env=MIRROR,NESGW_CACHE,PIP_INDEX_URL,http_proxy,https_proxy -- "$@"
}

need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || { echo "needs $1; run: sudo apt install $2" >&2; exit 69; }
}

# The Debian mirror that this machine takes its own packages from, or $MIRROR.
mirror() {
  local uri=${MIRROR:-$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|Debian|main|//p' | head -1)}
  [ -n "$uri" ] || { echo "no Debian mirror in this machine's apt sources; set MIRROR=http://…" >&2; exit 69; }
  echo "$uri"
}

runs_here() { # ARCH: can this machine run programs of that architecture?
  local interpreter
  case $1 in arm64) interpreter=qemu-aarch64 ;; armhf) interpreter=qemu-arm ;; *) interpreter=none ;; esac
  [ "$1" = "$(dpkg --print-architecture)" ] || [ -e /proc/sys/fs/binfmt_misc/$interpreter ]
}

# A root of SUITE-ARCH with PACKAGES; made once, then unpacked from the cache. Sets ROOT.
open_root() { # SUITE ARCH PACKAGE…
  local suite=$1 arch=$2 tar log
  shift 2
  need debootstrap debootstrap
  mkdir -p "$CACHE"
  tar=$CACHE/$suite-$arch-$(echo "$@" | sha256sum | cut -c1-12).tar
  log=$CACHE/$suite-$arch.log
  ROOT=$(mktemp -d "/var/tmp/nesgw-$suite-$arch.XXXXXX")
  trap close_root EXIT
  if [ ! -f "$tar" ]; then
    debootstrap --variant=minbase --arch="$arch" --include=ca-certificates "$suite" "$ROOT" "$(mirror)" >"$log" 2>&1 ||
      { tail -5 "$log" >&2; exit 69; }
    printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
    chmod 755 "$ROOT/usr/sbin/policy-rc.d"
    echo 'Acquire::Languages "none";' >"$ROOT/etc/apt/apt.conf.d/90small"
    mount_root
    if [ $# -gt 0 ]; then in_root apt-get -y -qq --no-install-recommends install "$@" >>"$log" 2>&1 ||
      { tail -5 "$log" >&2; exit 69; }; fi
    unmount_root
    tar -C "$ROOT" --one-file-system -cf "$tar.new" .
    mv "$tar.new" "$tar"
  else
    tar -C "$ROOT" -xf "$tar"
  fi
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
