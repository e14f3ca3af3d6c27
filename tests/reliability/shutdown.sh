#!/usr/bin/env bash
# check 27: SIGTERM with several hundred requests under way, until 10,000 were; none is lost, the exit status is 0 within the grace time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# A model that answers at once, so that the signal comes between an answer and the next request; and one that has hundreds waiting.
status=0
for model in tests/parity/fixtures/models/st_mean "$(scripts/fetch.sh minilm)"; do
  python3 tests/reliability/shutdown.py "$model" "$@" || status=1
done
exit "$status"
