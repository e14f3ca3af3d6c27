#!/usr/bin/env bash
# dev fixtures: writes the expected values of the parity tests anew, by the reference implementations in their Python environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh fetch test
python=$(scripts/venv.sh parity)/bin/python
MLAC_MINILM=$(scripts/fetch.sh minilm)
export MLAC_MINILM
exec "$python" tests/parity/make_fixtures.py "$@"
