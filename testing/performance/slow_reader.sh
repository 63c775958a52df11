#!/bin/sh
# What a slow reader and a slow writer do to their neighbours and to memory; about three minutes.
# All options: testing/performance/slow_reader.sh --help
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" slow-reader "$@"
