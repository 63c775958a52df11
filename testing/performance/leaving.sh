#!/bin/sh
# A thousand clients that leave half way: how soon the backend knows, and what stays behind; a few seconds.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" leaving "$@"
