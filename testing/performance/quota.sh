#!/bin/sh
# The default rate over sockets: what passes of 600 a second, whether Retry-After is true, what a refusal costs; two minutes.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" quota "$@"
