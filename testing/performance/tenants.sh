#!/bin/sh
# What a request costs with one tenant configured and with 100,000; a minute.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" tenants "$@"
