#!/bin/sh
# What the tests drive for real. On Debian as root what is missing is installed; elsewhere say what is missing.
set -eu
missing=""
if [ -n "${CHROMIUM:-}" ]; then
    [ -x "$CHROMIUM" ] || { echo "CHROMIUM=$CHROMIUM is not a program." >&2; exit 1; }
elif ! command -v chromium >/dev/null; then
    missing="$missing chromium"
fi
command -v firefox-esr >/dev/null || missing="$missing firefox-esr"
command -v ip >/dev/null || missing="$missing iproute2"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the browser tests:$missing…"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need:$missing. Install them (CHROMIUM=path names another Chromium), then run make test again." >&2
    exit 1
fi
