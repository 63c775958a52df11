#!/bin/sh
# 64 encoded bodies at once that grow as much as they may, or more: what the gateway's memory does; about a minute.
# All options: testing/performance/bombs.sh --help
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" bombs "$@"
