"""Grade many submissions at once, on this machine's cores or on a Dask cluster, through one code path.

A submission travels as bytes and comes back as the JSON of its result, so a worker needs this repository installed, and
no file system in common with the machine that keeps the gradebook. That machine alone writes anything down.
"""

import importlib
import json
import logging
import os
import tempfile
import time
import warnings
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import dask
import nbformat
from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.security import Security

from autograder.environment import code_files, digest, variables, versions
from autograder.errors import UserError
from autograder.judge import JudgeProcess
from autograder.limits import Limits
from autograder.parcel import Parcel, unpack
from autograder.results import Result
from autograder.template import Assignment, read_templates

UNIT = "autograder.cluster:grade_one"
MOST_DEATHS = 3
# Dask's settings for the workers of this machine.
LOCAL = {
    # Who was on a worker when it died is for us to count: most of them had nothing to do with it.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.timeouts.tcp": "60s",
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.diagnostics.computations.max-history": 1,
}
# For our side of any cluster: submissions are larger than most tasks, and Dask remembers the last 1,000 messages.
CLIENT = {"distributed.admin.large-graph-warning-threshold": "1GB", "distributed.admin.low-level-log-length": 10}
# So many submissions are on their way to a cluster that has few workers: one that grows by need must see some need.
LEAST_IN_FLIGHT = 16


def grade_one(path: Path, assignment: Assignment, limits: Limits, seed: int) -> Result:
    """Grade one submission, by a process of this worker's that lives as long as the worker does."""
    return _judge().grade(path, assignment, limits, seed)


@cache
def _judge() -> JudgeProcess:
    return JudgeProcess()


# ------------------------------------------------------------------ the clusters


@contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """A cluster of this many processes on this machine, gone at the end. Nobody else can talk to it.

    It listens on the loopback interface only, where any user of the machine could reach it; so it speaks TLS, with a
    certificate that is made for the run and never leaves the memory of these processes.
    """
    with (
        dask.config.set(LOCAL),
        _quiet(),
        tempfile.TemporaryDirectory(prefix="grading-cluster-", ignore_cleanup_errors=True) as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",  # there is none; but with None, Dask warns where its usual port is taken
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=None,
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def existing_cluster(address: str | None, security: Security | None = None) -> Iterator[Client]:
    """A cluster that runs already: at this address, or where Dask's own configuration says.

    Without ``security`` the certificates, too, are those of Dask's configuration.

    Raises
    ------
    UserError
        If no scheduler answers there.
    """
    where = address or dask.config.get("scheduler-address", None)
    if where is None:
        raise UserError("Dask's configuration names no scheduler (scheduler-address); give --scheduler")
    try:
        with _quiet():
            client = Client(where, security=security, set_as_default=False, name="autograder")
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        told = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"no scheduler answers at {where}: {told[0]}") from None
    with _quiet(), client:
        yield client


def certificates(ca: Path, cert: Path, key: Path) -> Security:
    """TLS by these files, and nothing unencrypted.

    Raises
    ------
    UserError
        If one of them can't be read.
    """
    for path in (ca, cert, key):
        if not os.access(path, os.R_OK):
            raise UserError(f"the TLS file {path} can't be read")
    return Security(tls_ca_file=str(ca), tls_client_cert=str(cert), tls_client_key=str(key), require_encryption=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's loggers from telling, at length, what we tell in a line or mend without one."""
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with dask.config.set(CLIENT):
            yield
    finally:
        log.setLevel(level)


# ------------------------------------------------------------------ on the worker


def describe_run(assignment: Assignment, limits: Limits, unit: str = UNIT) -> dict[str, Any]:
    """What is the same for every submission of a run, as text and numbers."""
    return {
        "name": assignment.name,
        "notebooks": [(name, nbformat.writes(t.notebook)) for name, t in assignment.templates.items()],
        "checks": (assignment.public, assignment.hidden),
        "limits": asdict(limits),
        "unit": unit,
        "environment": variables(),
        "code": digest(code_files((assignment.public, assignment.hidden))),
        "versions": versions(),
    }


def work(run: dict[str, Any], parcel: dict[str, Any], seed: int) -> str:
    """Grade one submission on this worker. Gives JSON: {"result": ...}, {"error": ...}, {"refused": ...} if nothing
    can be graded here, or {"differs": ...} if the worker's software isn't that of ``run``."""
    if differs := _differences(run):
        return json.dumps({"differs": differs})
    try:
        os.environ.update(run["environment"])
        module, _, name = run["unit"].partition(":")
        unit = getattr(importlib.import_module(module), name)
        assignment = _assignment(run["name"], tuple(map(tuple, run["notebooks"])), *run["checks"])
        with tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True) as folder:
            unpack(Parcel.from_plain(parcel), Path(folder))
            result: Result = unit(Path(folder), assignment, Limits(**run["limits"]), seed)
        return json.dumps({"result": result.to_json()})
    except UserError as error:  # not one submission's trouble: there is no sandbox here, say
        return json.dumps({"refused": str(error)})
    except Exception as error:  # whatever it is, the others are still to be graded
        return json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


def _differences(run: dict[str, Any]) -> str:
    here = versions()
    differ = [f"{name} {here[name]} and not {there}" for name, there in run["versions"].items() if here[name] != there]
    if digest(code_files(run["checks"])) != run["code"]:
        differ.append("another version of this repository's code (autograder, genmodels, or the checks)")
    return ", ".join(differ)


@lru_cache(maxsize=4)
def _assignment(name: str, notebooks: tuple[tuple[str, str], ...], public: str, hidden: str | None) -> Assignment:
    with tempfile.TemporaryDirectory() as folder:
        for notebook, text in notebooks:
            Path(folder, f"{notebook}.ipynb").write_text(text, encoding="utf-8")
        return Assignment(name, read_templates(Path(folder)), public, hidden)


# ------------------------------------------------------------------ on the machine with the gradebook


@dataclass(frozen=True)
class Job:
    """One submission to be graded; ``number`` tells it from the others."""

    number: int
    parcel: Parcel
    seed: int


@dataclass(frozen=True)
class Reply:
    """What came of a job: a result, or why there is none. ``killed``: it took its worker along, again and again."""

    job: Job
    result: Result | None = None
    problem: str = ""
    killed: bool = False


class Differs(UserError):
    """A worker's software is not that of this machine."""


class Crew:
    """Sends jobs to a cluster, a few for each worker, and gives back the replies in the order in which they come."""

    def __init__(self, client: Client, run: dict[str, Any], say: Any = lambda line: None) -> None:
        self._client, self._run, self._say = client, run, say
        self._done: SimpleQueue[Future] = SimpleQueue()
        self._flying: dict[Any, tuple[Future, Job]] = {}
        self._deaths: Counter[int] = Counter()
        self._room, self._counted_at = 0, float("-inf")
        self._told_of_no_worker = False

    def replies(self, jobs: Iterable[Job]) -> Generator[Reply]:
        """Grade the jobs, which are taken as there is room for them.

        When a worker dies, all that were on it are sent again, once; whoever loses a second worker is held back until
        the others are done, and then has a worker to itself, so that nobody is blamed for a neighbour.

        Raises
        ------
        UserError
            If the workers can't do this, or the scheduler goes away.
        """
        rest = iter(jobs)
        held_back: deque[Job] = deque()
        try:
            self._fill(rest)
            while self._flying or held_back:
                if not self._flying:
                    self._send(held_back.popleft())
                future = self._next_done()
                _, job = self._flying.pop(future.key)
                text = self._text(future)
                if text is not None:
                    self._fill(rest)  # before the result is written, so that no worker waits for that
                    yield self._reply(job, text)
                    continue
                self._deaths[job.number] += 1
                if self._deaths[job.number] == 1:
                    self._send(job)
                elif self._deaths[job.number] < MOST_DEATHS:
                    held_back.append(job)
                    self._fill(rest)
                else:
                    yield Reply(job, problem=f"its worker died {MOST_DEATHS} times", killed=True)
        finally:
            with suppress(Exception):
                self._client.cancel([future for future, _ in self._flying.values()], force=True)

    def _fill(self, rest: Iterator[Job]) -> None:
        while len(self._flying) < self._capacity() and (job := next(rest, None)) is not None:
            self._send(job)

    def _capacity(self) -> int:
        if time.monotonic() > self._counted_at + 5:
            threads = sum(worker["nthreads"] for worker in self._workers().values())
            least = 2 if isinstance(self._client.cluster, LocalCluster) else LEAST_IN_FLIGHT
            self._room, self._counted_at = max(2 * threads, least), time.monotonic()
        return self._room

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def _send(self, job: Job) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            future = self._client.submit(
                work, self._run, job.parcel.to_plain(), job.seed, key=f"grade-{uuid4().hex}", pure=False
            )
        self._flying[future.key] = future, job
        future.add_done_callback(self._done.put)

    def _next_done(self) -> Future:
        while True:
            with suppress(Empty):
                future = self._done.get(timeout=5)
                if future.key in self._flying:
                    return future
                continue
            if self._client.status in ("closing", "closed"):
                raise UserError(_GONE)
            if not self._workers() and not self._told_of_no_worker:
                self._told_of_no_worker = True
                self._say("waiting: the cluster has no worker at the moment")

    def _text(self, future: Future) -> str | None:
        """What the worker sent back; None if it died."""
        try:
            # Where a worker dies that still has a result, this waits until that has been made again.
            text: str = future.result()
        except KilledWorker:
            return None
        except CancelledError:
            raise UserError(_GONE) from None
        except Exception as error:
            raise UserError(
                f"a worker can't run the grader: {type(error).__name__}: {error}; every worker needs this repository, "
                "in this version, with what is in requirements-dev.txt"
            ) from error
        finally:
            future.release()
        return text

    def _reply(self, job: Job, text: str) -> Reply:
        told = json.loads(text)
        if "differs" in told:
            raise Differs(
                f"a worker has {told['differs']}; install what is here on every worker, restart them, and run this "
                "again"
            )
        if "refused" in told:
            raise UserError(told["refused"])
        if "error" in told:
            return Reply(job, problem=told["error"])
        return Reply(job, Result.from_json(told["result"]))


_GONE = "the scheduler went away; what was graded until now is kept, so run this again when it is back"
