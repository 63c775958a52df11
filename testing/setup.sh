#!/bin/sh
# Installs what is missing on Debian: `setup.sh build` for building (Pingora's zlib-ng needs cmake and a C compiler),
# `setup.sh test` for the tests' clients too. Does nothing, at once, when all is there. As somebody who may not install
# it says what to run.
set -eu

wanted="cmake:cmake cc:gcc make:make"
case "${1:-test}" in
build) ;;
test) wanted="$wanted curl:curl nghttp:nghttp2-client openssl:openssl" ;;
*) echo "usage: setup.sh [build|test]" >&2; exit 2 ;;
esac

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: see https://rustup.rs" >&2
    exit 1
fi

packages=
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
done
# A compiler is no good without the C library's headers.
if ! echo '#include <stdlib.h>' | cc -E -x c - >/dev/null 2>&1; then
    packages="$packages libc6-dev"
fi
[ -n "$packages" ] || exit 0

# shellcheck disable=SC2086 # a list of words
apt() {
    $1 apt-get -qq update && $1 env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages
}
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        echo "installing:$packages"
        apt "" && exit 0
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo "installing:$packages"
        apt "sudo -n" && exit 0
    fi
fi
echo "missing:$packages. Please run: sudo apt-get install -y --no-install-recommends$packages" >&2
exit 1
