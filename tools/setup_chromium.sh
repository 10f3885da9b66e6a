#!/bin/sh
# In CI, get the Chromium that the browser tests drive, where that is one apt-get away. It never fails the run:
# without a browser those tests skip and say so.
for browser in chromium chromium-browser google-chrome; do
    command -v "$browser" >/dev/null 2>&1 && exit 0
done
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "No Chromium here, and no way to install one: the browser tests will skip."
    exit 0
fi
echo "Installing Chromium for the browser tests."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1 </dev/null; then
    echo "Chromium could not be installed, so the browser tests will skip. apt-get ended with:"
    tail -n 5 "$log"
fi
rm -f "$log"
exit 0
