#!/usr/bin/env bash
# The default suite on other majors of Node than the one installed: `npm run test:nodes`, or `-- 22` for some of them.
# What was built stays; only the runtime changes.
set -uo pipefail
cd "$(dirname "$0")/.."
[ "$#" -gt 0 ] || set -- 22 24 26
status=0
for major in "$@"; do
  echo "Node $(npx --yes --package "node@$major" node --version)"
  npx --yes --package "node@$major" node node_modules/vitest/vitest.mjs run --reporter=dot || status=1
done
exit "$status"
