#!/bin/sh
# Finds a Python that is new enough and hands over to setup_env.py with it. This part is shell, so that it can
# speak where there is no Python at all, or only one too old to parse the rest.
set -u
here=${0%/*}

# A name is not enough: version managers leave stand-ins on the PATH for versions that are not there.
runs() { "$1" -c '' >/dev/null 2>&1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

if [ -n "${PYTHON:-}" ]; then
    # An explicit choice is kept to, with or without a new enough Python elsewhere.
    new_enough "$PYTHON" && exec "$PYTHON" "$here/setup_env.py" --chosen "$@"
    if runs "$PYTHON"; then
        echo "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1), and this project needs Python 3.11 or newer." >&2
    else
        echo "PYTHON=$PYTHON does not run. Give the name or the path of a Python 3.11 or newer." >&2
    fi
    exit 2
fi

found=""
for python in python3.13 python3.12 python3.11 python3 python; do
    new_enough "$python" && exec "$python" "$here/setup_env.py" "$@"
    if runs "$python"; then found="$found $python is $("$python" --version 2>&1);"; fi
done

if [ -n "$found" ]; then
    echo "This project needs Python 3.11 or newer, and found only older ones:${found%;}." >&2
else
    echo "This project needs Python 3.11 or newer, and found no Python on the PATH." >&2
fi
echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13;" \
    "anywhere: https://www.python.org/downloads), or name one that is elsewhere: make PYTHON=/path/to/python3.12." >&2
exit 2
