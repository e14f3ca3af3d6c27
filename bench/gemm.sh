#!/usr/bin/env bash
# matrix products in f32 on one thread, as shares of the peak timed beside, with AVX-512 and AVX2: bench/gemm.sh [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/support/rivals.sh
exec "$python" bench/gemm.py "$@"
