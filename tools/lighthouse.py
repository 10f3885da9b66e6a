"""Lighthouse on the built book: what `make lighthouse` runs.

    python tools/lighthouse.py                              every page of _build/html
    python tools/lighthouse.py --runs 1 book/1-vae/elbo     these pages only, each once

Each page is loaded from a server on this machine, on a phone and on a desktop as Lighthouse simulates them. Access,
best practices and the search engines' needs must each be 100, or the exit status is 1; of performance, which depends on
the machine, the median of five runs is printed. The first use fetches Lighthouse from the npm registry into
`_build/lighthouse`; all pages five times take about an hour.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.check_book import FLAGS, Handler, all_pages, chromium_program, served  # noqa: E402
from tools.typeset import node_program  # noqa: E402

VERSION = "13.5.0"
FOLDER = ROOT / "_build" / "lighthouse"
MUST = {"accessibility": "access", "best-practices": "practices", "seo": "SEO"}  # each 100
GOAL = {"phone": 95, "desktop": 100}  # of performance


class Compressing(Handler):
    """Sends text compressed, as the servers of the world do."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file() or path.suffix in (".woff", ".woff2", ".png"):
            super().do_GET()
            return
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def installed(node: str, version: str = VERSION) -> Path:
    """The folder of Lighthouse's packages, fetched if they are not there."""
    folder = FOLDER / version
    if (folder / "done").is_file():
        return folder
    npm = Path(node).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not npm.is_file():
        raise FileNotFoundError(f"no npm beside {node} to fetch Lighthouse with: run `make setup`")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text("{}\n", encoding="utf-8")
    print(f"Fetching lighthouse {version} into {folder.relative_to(ROOT)}", flush=True)
    command = [node, str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", f"lighthouse@{version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConnectionError(f"Lighthouse could not be fetched from the npm registry:\n{done.stderr.strip()}")
    (folder / "done").touch()
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="pages as _toc.yml names them; all if none is given")
    parser.add_argument("--runs", type=int, default=5, help="how often each page is loaded on each device")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs must be at least 1, got {options.runs}")

    pages = options.pages or all_pages(options.html)
    missing = [page for page in pages if not (options.html / f"{page}.html").is_file()]
    if missing:
        print(f"Not in {options.html}: {', '.join(missing)}. Run `make book` first.", file=sys.stderr)
        return 2
    node = node_program()
    try:
        modules = installed(node)
    except (ConnectionError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    with served(options.html, Compressing) as site:
        return look(pages, options.runs, site, node, modules)


def look(pages: list[str], runs: int, site: str, node: str, modules: Path) -> int:
    """Print a line for each page and device; 1 if one of them is not what it must be."""
    jobs = [
        {"page": page, "address": f"{site}/{page}.html", "device": device}
        for page in pages
        for device in GOAL
        for _ in range(runs)
    ]
    given = {"modules": str(modules), "chromium": chromium_program(), "flags": FLAGS, "jobs": jobs}
    script = Path(__file__).with_name("lighthouse.mjs")
    running = subprocess.Popen([node, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdin is not None
    assert running.stdout is not None
    json.dump(given, running.stdin)
    running.stdin.close()

    print(f"{'page':<40}{'device':<9}{''.join(f'{name:>11}' for name in MUST.values())}{'performance':>13}")
    below, low = 0, 0
    seen: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for line in running.stdout:
        run = json.loads(line)
        page, device = run["page"], run["device"]
        seen[page, device].append(run)
        if len(seen[page, device]) < runs:
            continue
        every = seen[page, device]
        worst = {name: min(each["scores"][name] for each in every) for name in MUST}
        speed = statistics.median(each["scores"]["performance"] for each in every)
        print(f"{page:<40}{device:<9}{''.join(f'{score:>11}' for score in worst.values())}{speed:>13.0f}", flush=True)
        for what in sorted({what for each in every for what in each["lost"]}):
            print(f"    {what}", flush=True)
        below += min(worst.values()) < 100
        if speed < GOAL[device]:
            low += 1
            print("    " + ", ".join(f"{name} {figure}" for name, figure in every[0]["figures"].items()), flush=True)
    status = running.wait()
    print(f"\n{below} of {len(seen)} below 100 in what must be; {low} below the goal for performance.")
    return 1 if below else status


if __name__ == "__main__":
    sys.exit(main())
