"""Two processes train as one would: same steps, one log, one checkpoint, and a clear end when one of them dies."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genmodels import team
from genmodels.team import Team, find_team
from tests.lib import team_member

MEMBER = Path(team_member.__file__)


def start(job, folder, rank=0, size=1, port=0):
    place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = {**os.environ, **({name: str(value) for name, value in place.items()} if size > 1 else {})}
    command = [sys.executable, MEMBER, job, folder]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_two(job, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(job, folder, rank, 2, port) for rank in (0, 1)]


def finish(*processes):
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of what one process made, one of what two made, and what the two said."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    finish(start("all_models", alone))
    return alone, together, finish(*start_two("all_models", together))


@pytest.mark.parametrize("name", ["vae", "denoiser", "game"])
def test_two_processes_take_the_steps_of_one_with_the_whole_batch(runs, name):
    alone, together, _ = runs
    one, first, second = load(alone / f"{name}-0.pt"), *(load(together / f"{name}-{rank}.pt") for rank in (0, 1))
    for a, b, c in zip(one["states"], first["states"], second["states"], strict=True):
        for key in a:
            torch.testing.assert_close(b[key], a[key], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(c[key], b[key], rtol=0, atol=0)
    for curve, values in one["history"].items():
        assert first["history"][curve] == pytest.approx(values, rel=1e-3, abs=1e-4), curve
        assert second["history"][curve] == first["history"][curve]


def test_one_process_shows_the_progress(runs):
    leader, other = runs[2]
    assert "8/8" in leader
    assert other == ""


def test_a_run_goes_on_with_another_number_of_processes(tmp_path):
    once, again = tmp_path / "once", tmp_path / "again"
    once.mkdir()
    again.mkdir()
    finish(start("whole", once))
    finish(*start_two("part", again))
    assert sorted(path.name for path in again.iterdir()) == ["run.pt"]
    assert len(load(again / "run.pt")["loss"]) == 4
    finish(start("whole", again))
    expected, found = load(once / "whole.pt"), load(again / "whole.pt")
    assert found["history"]["loss"] == pytest.approx(expected["history"]["loss"], rel=1e-3)
    for key, value in expected["states"][0].items():
        torch.testing.assert_close(found["states"][0][key], value, rtol=1e-3, atol=1e-4)


def test_a_killed_process_ends_the_run_with_a_clear_error_and_a_checkpoint_that_loads(tmp_path):
    leader, other = start_two("endless", tmp_path)
    path, deadline = tmp_path / "run.pt", time.monotonic() + 100
    while not path.exists():
        assert leader.poll() is None, leader.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other.send_signal(signal.SIGKILL)
    _, said = leader.communicate(timeout=100)
    other.communicate()
    assert leader.returncode == 1
    assert "TeamError: process 0 of 2 has lost the others" in said
    assert "a run with a checkpoint goes on from it" in said
    kept = load(path)
    assert len(kept["loss"]) >= 1
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_torchrun_starts_the_example_of_the_book(tmp_path):
    page = (Path(__file__).parents[2] / "book" / "reference" / "training.md").read_text(encoding="utf-8")
    script = next(code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "checkpoint=" in code)
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    environment = {**os.environ, "GENMODELS_SCALE": "smoke", "PYTHONPATH": str(Path(team.__file__).parents[1])}
    done = subprocess.run(torchrun, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.pt", "train.py"]
    assert len(load(tmp_path / "digits.pt")["loss"]) == 12  # an epoch of 1,438 digits


def test_shares_make_up_the_batch_and_weights_add_up_to_one():
    for size in (1, 2, 3, 5):
        members = [Team(rank, size) for rank in range(size)]
        for n in (1, 2, 3, 4, 5, 11):
            shares = [member.share(torch.arange(n)).tolist() for member in members]
            assert sum(member.weight(n) for member in members) == pytest.approx(1)
            if n >= size:
                assert sorted(row for share in shares for row in share) == list(range(n))
                assert [member.weight(n) for member in members] == [len(share) / n for share in shares]
            else:
                assert shares == [list(range(n))] * size


def test_a_process_that_nobody_put_into_a_team_is_one_of_its_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = find_team(torch.device("cpu"))
    assert alone == Team(0, 1)
    assert alone.leads
    total = torch.ones(3)
    alone.add_up([total])
    assert total.tolist() == [1, 1, 1]
