# Sourced by scripts/demo and scripts/test: creates the virtual environment, once.
#
#   ensure_environment EXTRAS    leaves $PYTHON set to the environment's interpreter
#
# The environment lies in .venv, or where STREAMCAM_VENV points. It is recreated when pyproject.toml,
# tests/support/peers.txt or the interpreter have changed, and left alone otherwise.

ensure_environment() {
    local extras="$1" base environment expected stamp
    base="$(find_python)" || return 1
    environment="${STREAMCAM_VENV:-.venv}"
    PYTHON="$environment/bin/python"
    stamp="$environment/streamcam-stamp${extras:+-$extras}"
    expected="$(cat pyproject.toml tests/support/peers.txt | "$base" -c '
import hashlib, pathlib, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version.split()[0], pathlib.Path.cwd())')"
    if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$expected" ]; then
        return 0
    fi
    if [ ! -x "$PYTHON" ]; then
        "$base" -m venv "$environment"
    fi
    echo "Installing into $environment. The first time takes some minutes: torch alone is several GB."
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}"
    if [ "$extras" = test ]; then
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps -r tests/support/peers.txt
    fi
    echo "$expected" >"$stamp"
}

find_python() {
    local candidate
    for candidate in "${STREAMCAM_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    echo "streamcam needs Python 3.11 or newer; set STREAMCAM_PYTHON to one" >&2
    return 1
}
