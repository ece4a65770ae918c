#!/usr/bin/env bash
# Runs every test of the workspace. Says exactly what is missing and how to get it; with --install, gets it.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'USAGE'
usage: ./test.sh [--install]

Runs every test of the workspace, doc tests included, and those of examples/embedding and tests/interleavings, which are workspaces of
their own.

  --install   first get what is missing (Debian and its kin; as root or with sudo). Starts no service.

One crate or one test while you work:  cargo test -p portcullis-core limit
USAGE
}

install=no
for argument in "$@"; do
    case "$argument" in
        --install) install=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

have() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# apt_get PACKAGE: installs it and starts nothing.
# Debian starts a service when it is installed, unless this file (which its maintainer scripts ask) answers 101.
policy=/usr/sbin/policy-rc.d
apt_get() (
    have apt-get || { say "cannot install $1: there is no apt-get here"; exit 1; }
    [ "$(id -u)" -eq 0 ] || have sudo || { say "cannot install $1: neither root nor sudo"; exit 1; }
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root apt-get update -qq >&2 || exit 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2
)

# want COMMAND PACKAGE ELSEWHERE WHAT_FOR: true when the command is there, if need be after installing it.
want() {
    local command=$1 package=$2 elsewhere=$3 what_for=$4
    have "$command" && return 0
    if [ "$install" = yes ]; then
        say "getting $package ($what_for)"
        apt_get "$package" && have "$command" && return 0
    fi
    say "missing: $command ($what_for)"
    say "  Debian, Ubuntu:  apt-get install $package   (or: ./test.sh --install)"
    say "  elsewhere:       $elsewhere"
    return 1
}

# What the tests need now: without one of these the run fails.
ready=yes
if ! have cargo; then
    say "missing: cargo (builds and runs everything)"
    say "  everywhere:      https://rustup.rs"
    ready=no
fi
want cc build-essential "the compiler of your system, for example: dnf install gcc, xcode-select --install" \
    "compiles the C parts of two dependencies" || ready=no
redis_was_there=yes
have redis-server || redis_was_there=no
want redis-server redis-server "for example: dnf install redis, brew install redis" \
    "limits that hold across a cluster; tests start servers of their own" || ready=no
if [ "$redis_was_there" = no ] && have redis-server && [ -d /run/systemd/system ]; then
    # The package asks to be started at boot; the tests start their own server and need no other.
    as_root systemctl disable --quiet redis-server || true
fi
[ "$ready" = yes ] || { say "nothing was run"; exit 1; }

if cargo nextest --version >/dev/null 2>&1; then
    # nextest runs no doc tests, so cargo does; first, so that the run ends with the summary of the rest.
    cargo test --workspace --all-features --doc
    cargo nextest run --workspace --all-features
else
    say "cargo-nextest is not installed: using cargo test (the same tests, less in parallel)"
    cargo test --workspace --all-features --no-fail-fast
fi

# What a stranger writes who builds on the library: a workspace of its own, with a lock file of its own. Where that is said to be out
# of date, a crate has got another dependency: run the same line once without --locked, and commit what changed.
cargo test --manifest-path examples/embedding/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}" --locked

# The atomics of core::upstream under a model checker, in every order of a few threads: about 20 seconds, and as many to build it.
cargo test --manifest-path tests/interleavings/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/interleavings" --locked
