"""Say that the tests which claim a formula have been read against it as it is now printed.

A test checks the mathematics, and can't see the LaTeX: a sign that changes on a page would stay unnoticed. So
`tests/formulas.lock` holds a fingerprint of each labelled formula from when somebody last compared the two, and the
tests fail when a page and the lock differ. This command prints each formula that differs beside the tests that claim
it, and writes the lock anew: read before you commit it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import ledger  # noqa: E402  the book's own reading of its pages

HEADER = "# Fingerprints of the labelled formulas, as last read against their tests. Made by `make formulas`.\n"


def unconfirmed(root: Path) -> list[str]:
    """The labels whose formula is not the one that the lock holds: changed, new or gone."""
    lock, now = root / "tests" / "formulas.lock", _fingerprints(root)
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    confirmed = dict(line.split() for line in lines if line and not line.startswith("#"))
    return sorted(label for label in confirmed.keys() | now.keys() if confirmed.get(label) != now.get(label))


def confirm(root: Path) -> None:
    """Print what differs, with the tests that claim it, and write the lock anew."""
    equations, claims = ledger.equations(root), ledger.claims(root)
    for label in unconfirmed(root):
        if label not in equations:
            print(f"\n=== {label}: gone")
            continue
        print(f"\n=== {label} ({equations[label].file}:{equations[label].line})\n{equations[label].tex.strip()}")
        for claim in claims.get(label, []):
            print(f"\n--- {claim.file}:{claim.line}\n{claim.source}")
    lines = [f"{label} {fingerprint}\n" for label, fingerprint in sorted(_fingerprints(root).items())]
    (root / "tests" / "formulas.lock").write_text(HEADER + "".join(lines), encoding="utf-8")


def _fingerprints(root: Path) -> dict[str, str]:
    return {label: equation.fingerprint() for label, equation in ledger.equations(root).items()}


if __name__ == "__main__":
    confirm(ROOT)
