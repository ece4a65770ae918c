#!/usr/bin/env bash
# Instructions for a request of each app and job, less those of the app without layers. See docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")"

cargo build --release --locked --bin counted
counted=${CARGO_TARGET_DIR:-target}/release/counted

# collected NAME JOB TIMES
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$counted" "$@" 2>&1 | sed -n 's/.*Collected : //p'
}

# request NAME JOB
request() { echo $((($(collected "$1" "$2" 11000) - $(collected "$1" "$2" 1000)) / 10000)); }

bare=$(request bare warm)
printf '%-36s %-8s %8s %8s\n' app job total layers
printf '%-36s %-8s %8d\n' bare warm "$bare"
jobs_of() { case "$1" in authenticate/*) echo warm fresh forged none ;; limit/*) echo warm limited ;; *) echo warm fresh limited ;; esac; }
for app in {authenticate/{portcullis,axum-jwt,axum-jwt-auth},limit/{portcullis,tower_governor},both/{portcullis,axum-jwt{,-auth}+tower_governor}}; do
    for job in $(jobs_of "$app"); do
        total=$(request "$app" "$job")
        printf '%-36s %-8s %8d %8d\n' "$app" "$job" "$total" $((total - bare))
    done
done
