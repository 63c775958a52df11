#!/bin/sh
# What a tenant feels of its neighbours, in one table; about five minutes. Options: testing/isolation/run.sh --help
set -eu
cd "$(dirname "$0")/../.."
command -v haproxy >/dev/null || echo "without haproxy (apt-get install haproxy) there is no first-come queue to compare with" >&2
cargo build --release --quiet -p svc-gateway --bin svc-gateway -p gateway-testing --bins
exec "${CARGO_TARGET_DIR:-target}/release/gateway-isolation" "$@"
