#!/bin/sh
# Node for set-up only: the machine's own where it is new enough for the front-end tools, else the wheel from PyPI.
set -eu
new_enough() { node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a * 100 + +b < 2019))' 2>/dev/null; }
if command -v npm >/dev/null && new_enough; then exit 0; fi
.tools/uv/bin/uv venv -q --clear --python .venv/bin/python .tools/node
.tools/uv/bin/uv pip install -q --require-hashes --no-build --python .tools/node/bin/python -r requirements/node.txt
