#!/usr/bin/env bash
# The suite on other majors of Node than the one installed, a results file for each:
# `npm run bench:nodes -- build/results`, or `-- build/results 22 24 --only xbzrle` for some of them.
set -uo pipefail
cd "$(dirname "$0")/.."
if [ "$#" = 0 ]; then
  echo "Usage: npm run bench:nodes -- FOLDER [MAJOR]... [OPTION of npm run bench]..." >&2
  exit 2
fi
folder=$1
shift
majors=()
while [[ "${1-}" =~ ^[0-9]+$ ]]; do
  majors+=("$1")
  shift
done
[ "${#majors[@]}" -gt 0 ] || majors=(22 24 26)
status=0
for major in "${majors[@]}"; do
  echo "Node $(npx --yes --package "node@$major" node --version)"
  npx --yes --package "node@$major" node bench/run.mjs "$@" --json "$folder/node$major.json" || status=1
done
exit "$status"
