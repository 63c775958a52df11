# What there is to do here. `make` alone says it.

CARGO ?= cargo
# What /version says it was built from.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help setup run test build bench perf

help: ## this text
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building and testing need beside Rust, or say what that is
	@testing/setup.sh test

run: ## build, and serve on 127.0.0.1:8080 (admin on 127.0.0.1:9090) with a store of its own
	@testing/setup.sh build
	SVC_GATEWAY_GIT=$(COMMIT) $(CARGO) run --release --bin svc-gateway -- run

build: ## target/release/svc-gateway
	@testing/setup.sh build
	SVC_GATEWAY_GIT=$(COMMIT) $(CARGO) build --release --bin svc-gateway

test: setup ## the whole gate: format, lints, tests, docs, licences
	@testing/gate.sh

bench: ## microbenchmarks
	@testing/setup.sh build
	$(CARGO) bench --workspace --benches

perf: ## the load runs of testing/performance (a quarter of an hour on an idle machine)
	@testing/setup.sh build
	testing/performance/objects.sh
	testing/performance/slow_reader.sh
	testing/performance/leaving.sh
	testing/performance/reloads.sh
	testing/performance/ways_up.sh
