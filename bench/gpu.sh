#!/usr/bin/env bash
# Measures on an NVIDIA GPU what docs/gpu.md shows, in at most 8 minutes: writes
# docs/gpu-results.json and the page's table. `bench/gpu.sh --dry-run` tries everything without one.
# Options are those of `python -m bench gpu --help`.
set -euo pipefail
python=${PYTHON:-$(command -v python || command -v python3)}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

"$python" --version
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    nvidia-smi --query-gpu=clocks.sm,clocks.mem,clocks.max.sm,power.limit --format=csv,noheader
else
    echo "nvidia-smi is not here"
fi
exec "$python" -m bench gpu "$@"
