"""What every room of the tests shares: the equation ledger, and pytester, which tests it."""

pytest_plugins = ["tests.plugins.ledger", "pytester"]
