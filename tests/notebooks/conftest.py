"""The kill rate, counted while the mutants run and printed at the end."""

from dataclasses import dataclass, field

import pytest


@dataclass
class MutantTally:
    """How many wrong answers lost their points, by which check, and how many right ones earned them."""

    verdicts: list[str | None] = field(default_factory=list)
    earned: int = 0

    def wrong(self, killed_by: str | None) -> None:
        self.verdicts.append(killed_by)

    def right(self) -> None:
        self.earned += 1

    def summary(self) -> str:
        killed = [v for v in self.verdicts if v is not None]
        rate = 100 * len(killed) / len(self.verdicts)
        return (
            f"mutants: {len(killed)} of {len(self.verdicts)} wrong answers lose their points ({rate:.1f} %), "
            f"{killed.count('public')} of them by the public check; {self.earned} right ones earn theirs"
        )


TALLY = MutantTally()


@pytest.fixture
def mutant_tally() -> MutantTally:
    return TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.verdicts:
        terminalreporter.write_line(TALLY.summary())
