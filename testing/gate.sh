#!/bin/bash
# The gate: format, lints, tests, docs, licences. Every step prints what it took; the first that fails ends it.
# All steps share one target directory, and the tests start the binary that Cargo built for them.
set -euo pipefail
cd "$(dirname "$0")/.."

# Fewer tests than this mean that some were lost, not that all is well.
readonly FLOOR=880

log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() {
    local name=$1 started=$SECONDS
    shift
    echo "== $name: $*"
    if ! "$@"; then
        echo "== $name: FAILED after $((SECONDS - started)) s"
        exit 1
    fi
    echo "== $name: ok, $((SECONDS - started)) s"
}

tests() {
    local well=0
    # A million changes of a token, where a run at a desk tries 50,000: eight seconds.
    CAPABILITY_MUTATIONS=1000000 cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || well=1
    count || well=1
    return "$well"
}

# Adds up the `test result` lines of every test binary.
count() {
    awk -v floor="$FLOOR" '
        /^test result:/ {
            for (i = 2; i <= NF; i++) {
                if ($i == "passed;") passed += $(i - 1)
                if ($i == "failed;") failed += $(i - 1)
                if ($i == "ignored;") ignored += $(i - 1)
            }
        }
        END {
            printf "%d passed, %d failed, %d ignored\n", passed, failed, ignored
            if (failed || ignored) exit 1
            if (passed < floor) { printf "fewer than the %d that there are to be\n", floor; exit 1 }
        }' "$log"
}

licences() {
    # Advisories are fetched, so they are CI's to ask for, not the gate's: it has to work without a network.
    cargo deny --workspace --offline check licenses bans sources
}

step format cargo fmt --all --check
step lints cargo clippy --workspace --all-targets -- -D warnings
step tests tests
step docs env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
if cargo deny --version >/dev/null 2>&1; then
    step licences licences
else
    echo "== licences: skipped, cargo-deny is not installed"
fi
echo "== gate: ok, $SECONDS s, $(count | head -n 1)"
