"""The pytest side of the equation ledger.

A test claims an equation of the book with ``@pytest.mark.equation("vae-elbo")``. This plugin

- stops the run when a test claims an equation that no page has;
- fails a run of the whole suite in which a labelled equation was not checked: claimed by no test, or only by tests
  that were skipped. A run of a part (a path, -k, -m, --lf ...) says nothing about the rest and is not failed for it;
- ends the summary with a line such as ``equation ledger: 14 equations, 14 checked by 23 tests``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest


def book_ledger(root: Path) -> ModuleType:
    """The functions that the book itself uses, from `book/_ext/ledger.py`: labels are read in one way only."""
    name = "genmodels_book_ledger"
    if name not in sys.modules:
        path = Path(__file__).resolve().parents[2] / "book" / "_ext" / "ledger.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[name]


class Ledger:
    def __init__(self, config: pytest.Config):
        self.config = config
        self.labels: dict[str, tuple[str, int]] = {}
        self.claims: dict[str, set[str]] = defaultdict(set)  # label -> node ids of the tests that claim it
        self.outcomes: dict[str, str] = {}  # node id -> passed, failed or skipped
        self.deselected = False

    def pytest_deselected(self, items):
        self.deselected = self.deselected or bool(items)

    @pytest.hookimpl(tryfirst=True)  # before -k and -m take tests away: their claims must name equations as well
    def pytest_collection_modifyitems(self, items):
        module = book_ledger(self.config.rootpath)
        try:
            self.labels = module.labels(self.config.rootpath)
            module.claims(self.config.rootpath)  # the book shows these: it must be able to read them
        except module.LedgerError as error:
            raise pytest.UsageError(f"equation ledger: {error}") from error
        for item in items:
            for mark in item.iter_markers("equation"):
                for label in mark.args:
                    self.claims[label].add(item.nodeid)
        unknown = sorted(set(self.claims) - set(self.labels))
        if unknown:
            lines = [f"  {label!r}, claimed by {', '.join(sorted(self.claims[label]))}" for label in unknown]
            raise pytest.UsageError("equation ledger: no page has these equations:\n" + "\n".join(lines))

    def pytest_runtest_logreport(self, report):
        # A test has three phases: failed in any is failed, skipped in any is skipped.
        if report.failed or (report.skipped and self.outcomes.get(report.nodeid) != "failed"):
            self.outcomes[report.nodeid] = report.outcome
        elif report.when == "call":
            self.outcomes.setdefault(report.nodeid, "passed")

    def whole_suite(self) -> bool:
        """Whether every test of the repository was to run."""
        option = self.config.option
        roots = {self.config.rootpath.resolve(), (self.config.rootpath / "tests").resolve()}
        base = self.config.invocation_params.dir
        narrowed = (
            self.deselected
            or option.keyword
            or option.markexpr
            or getattr(option, "lf", False)
            or any(self.claimed_only_in(path) for path in option.ignore or [])
            or option.ignore_glob
            or option.deselect
            or option.collectonly
        )
        return not narrowed and all((base / argument).resolve() in roots for argument in self.config.args)

    def claimed_only_in(self, path: str) -> bool:
        """Whether a folder that is left out seems to hold the only claim of an equation."""
        files = (self.config.invocation_params.dir / path).rglob("*.py")
        texts = [text for file in files if "mark.equation" in (text := file.read_text(encoding="utf-8"))]
        unclaimed = [label for label in self.labels if not self.claims[label]]
        return any(quote + label + quote in text for text in texts for label in unclaimed for quote in "\"'")

    def ran(self, label: str) -> set[str]:
        return {test for test in self.claims[label] if self.outcomes.get(test) in ("passed", "failed")}

    def unchecked(self) -> list[str]:
        return [label for label in self.labels if not self.ran(label)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not session.shouldfail
        self.judged = finished and self.whole_suite()
        if self.judged and self.unchecked():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if not self.labels or self.config.option.collectonly:
            return
        checked = [label for label in self.labels if self.ran(label)]
        tests = set().union(*(self.ran(label) for label in checked))
        if getattr(self, "judged", False):
            for label in self.unchecked():
                file, line = self.labels[label]
                only = "claimed only by skipped tests" if self.claims[label] else "claimed by no test"
                terminalreporter.write_line(f"equation ledger: {file}:{line}: {label!r} is {only}", red=True)
        if checked or getattr(self, "judged", False):
            count = f"{len(self.labels)} equations, {len(checked)} checked by {len(tests)} tests"
            terminalreporter.write_line(f"equation ledger: {count}", bold=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "equation(*labels): this test checks these labelled equations of the book")
    config.pluginmanager.register(Ledger(config), "equation-ledger")
