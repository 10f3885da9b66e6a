#!/bin/sh
# In CI, get the two programs that pip can't install, where they are one apt-get away: the Chromium that the browser
# tests drive, and bubblewrap, the grader's sandbox. It never fails the run: what needs them skips, and says so.
wanted=
browser=
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && browser=$name
done
[ -n "$browser" ] || wanted="chromium"
command -v bwrap >/dev/null 2>&1 || wanted="${wanted:+$wanted }bubblewrap"
[ -n "$wanted" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "Not here, with no way to install it: $wanted. The tests that need it will skip."
    exit 0
fi
echo "Installing for the tests: $wanted."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  (two packages are two words)
if ! { apt-get update && apt-get install -y --no-install-recommends $wanted; } >"$log" 2>&1 </dev/null; then
    echo "Could not be installed, so the tests that need it will skip: $wanted. apt-get ended with:"
    tail -n 5 "$log"
fi
rm -f "$log"
exit 0
