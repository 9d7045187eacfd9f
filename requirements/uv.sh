#!/bin/sh
# Put uv at .tools/uv/bin/uv, by its hash. Needs Python 3.11 or newer with pip or venv; as root on Debian it adds venv.
set -eu
python=$1
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Chaperone needs Python 3.11 or newer. Install it, or name it: make PYTHON=path" >&2
    exit 1
}
rm -rf .tools/pip .tools/uv.new
make_venv() { "$python" -m venv .tools/pip >/dev/null 2>&1; }
if make_venv; then
    pip=".tools/pip/bin/python -m pip"
elif "$python" -m pip --version >/dev/null 2>&1; then
    pip="$python -m pip"
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    make_venv
    pip=".tools/pip/bin/python -m pip"
else
    echo "This Python has neither venv nor pip. Install them (on Debian: apt install python3-venv)." >&2
    exit 1
fi
$pip install -q --disable-pip-version-check --require-hashes --only-binary :all: --target .tools/uv.new -r requirements/uv.txt
rm -rf .tools/uv .tools/pip
mv .tools/uv.new .tools/uv
