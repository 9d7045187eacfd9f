#!/bin/sh
# What the tests drive for real: browsers, telephones, a database server. On Debian as root what is missing is installed; elsewhere say what is
# missing. `sh tests/browsers.sh calls` is content with what `make run-calls` needs.
set -eu
missing=""
needs() { # a program, and the package that has it
    command -v "$1" >/dev/null || missing="$missing $2"
}
if [ "${1:-}" != calls ]; then
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] || { echo "CHROMIUM=$CHROMIUM is not a program." >&2; exit 1; }
    else
        needs chromium chromium
    fi
    needs firefox-esr firefox-esr
    needs ip iproute2
    needs tcpdump tcpdump
    needs baresip baresip-core
    # Debian keeps its programs outside the path.
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || needs initdb postgresql
fi
needs janus janus
needs kamailio "kamailio kamailio-tls-modules kamailio-extra-modules"
needs sipp sip-tester
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests:$missing…"
    # Nothing that serves may start with its package's own configuration: nobody has secured that.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    for unit in janus kamailio postgresql; do # nor when the machine starts again
        command -v systemctl >/dev/null && systemctl disable -q $unit 2>/dev/null || true
    done
else
    echo "This needs:$missing. Install them (CHROMIUM=path names another Chromium), then try again." >&2
    exit 1
fi
