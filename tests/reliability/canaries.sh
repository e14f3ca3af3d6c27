#!/usr/bin/env bash
# check 38: secrets in environment, files, headers, URLs and prompts, searched for in all that mlac writes; and every connection that it opens
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tests/reliability/canaries.py tests/parity/fixtures/models/vocab_only "$@"
