#!/bin/sh
# Idle, slow and flooding connections, and what they cost the others; about three minutes. Needs 20,000 descriptors.
# All options: testing/performance/holding.sh --help
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" holding "$@"
