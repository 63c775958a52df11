#!/bin/sh
# A hundred reloads under load, every fourth of a broken file; seconds.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" reloads "$@"
