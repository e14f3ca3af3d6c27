#!/usr/bin/env bash
# the OpenAPI file against a server of a model of each kind, by schemathesis: no 5xx, and every answer as the file has it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=$(scripts/venv.sh -y openapi)
exec python3 tests/reliability/openapi.py "$venv/bin/schemathesis" tests/parity/fixtures "$@"
