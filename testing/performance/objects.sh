#!/bin/sh
# Stores the files of a folder (/usr/share/doc unless one is given) through the gateway and reads them back.
# All options: testing/performance/objects.sh --help
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" objects "$@"
