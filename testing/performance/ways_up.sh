#!/bin/sh
# The cost of a request to an oap cluster beside an http1 cluster of the same gateway; about ten minutes.
# All options: testing/performance/ways_up.sh --help
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-performance" ways-up "$@"
