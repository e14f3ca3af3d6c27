#!/usr/bin/env bash
# dev fixtures [PART...]: writes the expected values of the parity tests anew, by the reference implementations in their Python environments (parts:
# ops models minilm antiberty train metrics families tasks prompts adapters compressed; all if none is named), and the committed hashes of bits (part bits)
# by the scalar path of mlac, once its tests of parity have passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh fetch test
python=$(scripts/venv.sh parity)/bin/python
MLAC_MINILM=$(scripts/fetch.sh minilm)
MLAC_ANTIBERTY_FIXTURE=$(scripts/fetch.sh antiberty)
export MLAC_MINILM MLAC_ANTIBERTY_FIXTURE
[ $# -gt 0 ] || set -- ops models minilm antiberty train metrics families tasks prompts adapters compressed bits
reference=()
for part in "$@"; do [[ "$part" =~ ^(adapters|compressed|bits)$ ]] || reference+=("$part"); done
[ ${#reference[@]} = 0 ] || "$python" tests/parity/make_fixtures.py "${reference[@]}"
[[ " $* " != *" models "* ]] || "$(scripts/venv.sh five)/bin/python" tests/parity/save_as_version_five.py
[[ " $* " != *" adapters "* ]] || "$(scripts/venv.sh five)/bin/python" tests/parity/adapters_fixtures.py
[[ " $* " != *" compressed "* ]] || "$(scripts/venv.sh compressed)/bin/python" tests/parity/compressed_fixtures.py
[[ " $* " == *" bits "* ]] || exit 0
./dev build ci > /dev/null
build/ci/tests/test_parity --gtest_brief=1 --gtest_filter='-*CommittedBits*'
for tests in parity train; do
  MLAC_WRITE_BIT_HASHES=1 MLAC_ISA=scalar "build/ci/tests/test_$tests" --gtest_brief=1 --gtest_filter='*CommittedBits*'
done
