#!/bin/sh
# Finds a Python that this project runs on, names what the machine lacks, and hands over to
# tools/setup_environment.py. `PYTHON=python3.12 make run` chooses the Python by hand.
set -eu
cd "$(dirname "$0")/.."

usable() { # a Python of a supported version
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}
complete() { # and able to make a virtual environment: Debian keeps that in a package of its own
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

chosen="" incomplete=""
if [ -n "${PYTHON:-}" ]; then
    candidates="$PYTHON"
else
    candidates=".venv/bin/python python3 python3.13 python3.12 python3.11 python"
fi
for candidate in $candidates; do
    usable "$candidate" || continue
    if [ "$candidate" = .venv/bin/python ] || complete "$candidate"; then
        chosen="$candidate"
        break
    fi
    [ -n "$incomplete" ] || incomplete="$candidate"
done

lacking=""
if [ -z "$chosen" ]; then
    case "$incomplete" in
        */* | python | "") lacking="python3-venv" ;;
        *) lacking="$incomplete-venv" ;;
    esac
fi
command -v git >/dev/null 2>&1 || lacking="$lacking git"
if [ -n "$lacking" ]; then
    echo "This machine lacks: $lacking. On Debian or Ubuntu:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y" $lacking >&2
fi
if [ -z "$chosen" ]; then
    if [ -z "$incomplete" ]; then
        found=$(${PYTHON:-python3} --version 2>/dev/null || echo "none")
        echo "Python 3.11, 3.12 or 3.13 is needed (found: $found). Then run the same command again." >&2
    fi
    exit 2
fi
exec "$chosen" -m tools.setup_environment "$@"
