"""Workers that die, that differ, that are elsewhere; two graders at once; a gradebook that cannot be written."""

import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import nbformat
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from autograder.__main__ import main
from autograder.classroom import grade, histogram, summary
from autograder.cluster import certificates, describe_run, existing_cluster, local_cluster, work
from autograder.course import Course
from autograder.errors import CourseError, UserError
from autograder.gradebook import Writer
from autograder.limits import Limits
from autograder.parcel import pack, unpack
from autograder.results import Ledger, Result
from autograder.submission import Unreadable, read_bytes, side_files
from autograder.template import Assignment

CHECKS = ("toychecks", "toychecks")
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def course(empty_gradebook: Path, tmp_path: Path) -> Course:
    course = Course(tmp_path / "course")
    course.make()
    shutil.copyfile(empty_gradebook, course.database)
    return course


@pytest.fixture
def hand_in(solve: Callable, tmp_path: Path) -> Callable[..., Path]:
    """Writes submissions, by student: solved, with the files beside them that are given."""

    def hand_in(**students: dict[str, str]) -> Path:
        for student, beside in students.items():
            folder = tmp_path / "submissions" / student
            folder.mkdir(parents=True)
            (folder / "lesson.ipynb").write_text(nbformat.writes(solve()))
            for name, text in beside.items():
                (folder / name).write_text(text)
        return tmp_path / "submissions"

    return hand_in


def points(course: Course) -> dict[str, float]:
    with course.gradebook("toy") as gradebook:
        return {one.student.id: one.score for one in gradebook.find_assignment("toy").submissions}


def workers() -> set[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return {child for child in children if any("spawn_main" in word for word in child.cmdline())}


# ------------------------------------------------------------------ workers that die


@pytest.mark.slow
def test_workers_that_die_lose_nothing_and_only_the_killer_is_named(
    root: Path, hand_in: Callable, course: Course, limits: Limits, tmp_path: Path
):
    once, always = {"kill.txt": f"{tmp_path / 'once'} 1"}, {"kill.txt": f"{tmp_path / 'always'} 99"}
    students = {f"s{i:02}": {} for i in range(12)} | {"s03x": once, "s06x": always}
    submissions = hand_in(**students)
    before = workers()
    lines: list[str] = []
    with local_cluster(2) as client:
        results = grade(
            root, "toy", submissions, course, limits, lines.append, checks=CHECKS, unit="toyunits:deadly",
            cluster=lambda: nullcontext(client),
        )  # fmt: skip
    assert {student for student, result in results.items() if result and result.outcome != "graded"} == {"s06x"}
    assert results["s06x"].outcome == "worker-killed"
    assert (tmp_path / "always").stat().st_size == 3
    assert list(results) == sorted(students)
    assert points(course) == {student: 0 if student == "s06x" else 5 for student in students}
    assert any("s06x: worker-killed: its worker died 3 times" in line for line in lines)
    assert workers() == before, "a worker was left behind"
    # The next run takes it as graded, and says so; asked to, it tries again.
    again = grade(root, "toy", submissions, course, limits, lines.append, checks=CHECKS, unit="toyunits:deadly")
    assert set(again.values()) == {None}


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_class_loses_nothing(
    root: Path, hand_in: Callable, course: Course, limits: Limits
):
    """Really graded, on a cluster of two, of which one is killed from outside when the first result is there."""
    submissions = hand_in(**{f"s{i}": {} for i in range(6)})
    killed: list[int] = []
    with local_cluster(2) as client:

        def kill(done: int, of: int) -> None:
            if not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        results = grade(
            root, "toy", submissions, course, limits, print, checks=CHECKS,
            cluster=lambda: nullcontext(client), progress=kill,
        )  # fmt: skip
    assert killed
    assert [result.outcome for result in results.values() if result] == ["graded"] * 6
    assert points(course) == {f"s{i}": 5 for i in range(6)}


@pytest.mark.slow
def test_the_number_of_workers_makes_no_difference(
    root: Path, hand_in: Callable, course: Course, limits: Limits, cluster: Callable
):
    submissions = hand_in(**{f"s{i}": {} for i in range(4)})

    def run(**options) -> list[object]:
        options = {"checks": CHECKS, "regrade": True} | options
        results = grade(root, "toy", submissions, course, limits, print, **options)
        files = {path: path.read_bytes() for path in sorted((course.root / "autograded").rglob("*.ipynb"))}
        return [{s: replace(r, seconds=0) for s, r in results.items() if r}, files, points(course)]

    assert run(cluster=lambda: local_cluster(1)) == run(cluster=cluster)


# ------------------------------------------------------------------ what travels


def test_an_unpacked_submission_looks_like_the_one_that_was_packed(assignment: Assignment, tmp_path: Path):
    limit = 1000
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "lesson.ipynb").symlink_to("/etc/hostname")
    (odd / "other.ipynb").write_text("{}")
    (odd / "helper.py").write_text("x = 1")
    (odd / "link.txt").symlink_to("/etc/hostname")
    (odd / "toychecks").mkdir()
    (odd / "genmodels.py").write_text("check = None")
    (odd / "h\udce9las.txt").write_bytes(b"\xff")
    os.mkfifo(odd / "pipe.dat")
    with (odd / "huge.bin").open("wb") as file:
        file.truncate(5_000_000_000_000)
    for i in range(120):
        (odd / f"z{i:03}.txt").write_text("12345678")
    cases = {"odd": odd}
    for kind in ("missing", "empty", "folder", "large", "whole"):
        cases[kind] = tmp_path / kind
        cases[kind].mkdir()
    (cases["missing"] / "lesson (1).ipynb").write_text("{}")
    (cases["empty"] / "lesson.ipynb").write_text(" ")
    (cases["folder"] / "lesson.ipynb").mkdir()
    (cases["large"] / "lesson.ipynb").write_bytes(b"x" * 1001)
    (cases["whole"] / "lesson.ipynb").write_bytes(b"x" * 1000)

    def look(folder: Path) -> list[object]:
        beside = side_files(folder, limit)
        files = {path.name: path.read_bytes() for path in beside.files}
        left_out = dict(sorted(beside.left_out.items())[:100])
        try:
            return [files, left_out, read_bytes(folder / "lesson.ipynb", limit, ["lesson.ipynb"])]
        except Unreadable as problem:
            return [files, left_out, problem.outcome, str(problem)]

    for kind, folder in cases.items():
        parcel = pack(folder, assignment, limit)
        there = tmp_path / f"{kind}-unpacked"
        there.mkdir()
        unpack(type(parcel).from_plain(parcel.to_plain()), there)
        assert look(there) == look(folder), kind
        assert pack(there, assignment, limit).key("s", "") == parcel.key("s", "")
        assert all(len(entry.content) <= limit for entry in parcel.entries)


def test_a_parcel_writes_nowhere_else(assignment: Assignment, tmp_path: Path):
    (tmp_path / "lesson.ipynb").write_text("{}")
    parcel = pack(tmp_path, assignment, 100)
    for name in (b"../up", b"/tmp/absolute", b"..", b""):
        with pytest.raises(ValueError, match="must name something in the folder"):
            unpack(replace(parcel, entries=[replace(parcel.entries[0], name=name)]), tmp_path)


def test_a_file_that_the_system_will_not_open_is_told(
    assignment: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "lesson.ipynb").write_text("{}")

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    parcel = pack(tmp_path, assignment, 100)
    monkeypatch.undo()
    assert parcel.refused == {"lesson.ipynb": "lesson.ipynb can't be read: Permission denied"}


def test_a_worker_with_other_software_says_what_differs(assignment: Assignment, limits: Limits, tmp_path: Path):
    run = describe_run(assignment, limits, "toyunits:fast")
    parcel = pack(tmp_path, assignment, 100).to_plain()
    assert '"result"' in work(run, parcel, 0)
    assert "another version of this repository's code" in work(run | {"code": "0"}, parcel, 0)
    assert "torch " in work(run | {"versions": run["versions"] | {"torch": "0.1"}}, parcel, 0)
    assert work(run | {"unit": "toyunits:fails"}, parcel, 0) == '{"error": "RuntimeError: no kernel today"}'


# ------------------------------------------------------------------ a cluster elsewhere


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate authority and a certificate by it, as the guide makes them with openssl."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)

    def certificate(name: str, issuer: str, signer, key, ca: bool) -> x509.Certificate:
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
        builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        builder = builder.not_valid_after(now + timedelta(days=1))
        return builder.add_extension(x509.BasicConstraints(ca, None), critical=True).sign(signer, hashes.SHA256())

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    made = {
        "ca": certificate("ca", "ca", keys[0], keys[0], True),
        "cert": certificate("x", "ca", keys[0], keys[1], False),
    }
    paths = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    for name, one in made.items():
        paths[name].write_bytes(one.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths["key"].write_bytes(keys[1].private_bytes(*encoding))
    return paths


@pytest.fixture
def elsewhere(tls: dict[str, Path], tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with TLS and a worker, both in folders of their own, as on other machines."""
    files = [f"--tls-{name}-file={tls[key]}" for name, key in (("ca", "ca"), ("cert", "cert"), ("key", "key"))]
    files = [file.replace("--tls-cert-file", "--tls-cert").replace("--tls-key-file", "--tls-key") for file in files]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{free.getsockname()[1]}"
    scheduler = ["scheduler", "--host", address, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    # As the guide says of a worker: it needs this repository.
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ["PYTHONPATH"]])
    with ExitStack() as stack:
        for number, command in enumerate((scheduler, worker)):
            place = tmp_path / f"machine{number}"
            place.mkdir()
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:], *files],
                cwd=place,
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address


@pytest.mark.slow
def test_a_class_is_graded_on_a_cluster_elsewhere_over_tls(
    root: Path, hand_in: Callable, course: Course, limits: Limits, tls: dict[str, Path], elsewhere: str
):
    submissions = hand_in(ann={}, bob={})
    results = grade(
        root, "toy", submissions, course, limits, print, checks=CHECKS,
        cluster=lambda: existing_cluster(elsewhere, certificates(tls["ca"], tls["cert"], tls["key"])),
    )  # fmt: skip
    assert [result.points for result in results.values() if result] == [5, 5]
    # Who has no certificate gets no answer.
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        pytest.raises(UserError, match="no scheduler answers at"),
        existing_cluster(elsewhere),
    ):
        pass


def test_a_scheduler_that_is_not_there_is_told():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"),
        existing_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(UserError, match="names no scheduler"), existing_cluster(None):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "2", "--scheduler", "tcp://x:1"], "give one of them"),
        (["--tls-ca", "ca.pem"], "go with --scheduler"),
        (["--scheduler", "tls://x:1", "--tls-ca", "ca.pem"], "go together"),
        (["--scheduler", "tcp://x:1", *(f"--tls-{n}=none.pem" for n in ("ca", "cert", "key"))], "begins with tls://"),
        (["--scheduler", "tls://x:1", *(f"--tls-{n}=none.pem" for n in ("ca", "cert", "key"))], "can't be read"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["grade", "toy", "--submissions", str(tmp_path), "--course", str(tmp_path / "c"), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_local_cluster_listens_on_the_loopback_only_and_answers_nobody_else():
    with local_cluster(1) as client:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = [c.laddr for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        address = client.scheduler.address.replace("tls://", "tcp://")
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
            pytest.raises(UserError, match="no scheduler answers"),
            existing_cluster(address),
        ):
            pass


# ------------------------------------------------------------------ a course folder that can't be written


@pytest.fixture
def submissions(hand_in: Callable) -> Path:
    return hand_in(ann={}, bob={})


def run(root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable, **options):
    options = {"checks": CHECKS, "cluster": cluster, "unit": "toyunits:fast"} | options
    return grade(root, "toy", submissions, course, limits, lambda line: None, **options)


def test_a_second_grader_is_kept_out(root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable):
    with (
        course.lock(),
        pytest.raises(UserError, match=f"in use by another grader .process {os.getpid()}.*another folder"),
    ):
        run(root, submissions, Course(course.root), limits, cluster)
    assert len(run(root, submissions, course, limits, cluster)) == 2


def test_a_lock_left_by_a_dead_grader_does_not_count(course: Course):
    code = "import os, sys, fcntl; fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, course.root / ".lock"], check=False)
    with course.lock(), (course.root / ".lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.slow
def test_a_locked_gradebook_is_told_and_what_was_graded_is_kept(
    root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable, tmp_path: Path
):
    run(root, submissions, course, limits, cluster, student="ann")
    before = course.database.read_bytes()
    other = sqlite3.connect(course.database)

    def hold(done: int, of: int) -> None:  # from when the first is written
        other.execute("BEGIN EXCLUSIVE")

    try:
        with pytest.raises(CourseError, match="the gradebook is locked: close what else has it open"):
            run(root, submissions, course, limits, cluster, regrade=True, progress=hold)
        other.rollback()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CourseError, match="the gradebook is locked"):
            run(root, submissions, course, limits, cluster)
    finally:
        other.close()
    assert len(before) == len(course.database.read_bytes())
    assert len(list(course.pending.glob("*.json"))) == 1
    run(root, submissions, course, limits, cluster)
    assert points(course) == {"ann": 5, "bob": 5}
    assert list(course.pending.glob("*")) == []


def test_what_is_no_gradebook_is_told(root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable):
    course.database.write_bytes(b"a text, and no database" * 100)
    with pytest.raises(CourseError, match=r"gradebook\.db is not a gradebook"):
        run(root, submissions, course, limits, cluster)
    assert course.database.read_bytes().startswith(b"a text")


@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs setpriv, and to be root")
def test_a_folder_that_cannot_be_written_is_told(root: Path, submissions: Path, course: Course, tmp_path: Path):
    """As somebody whom the folder's permissions bind."""
    lock = course.root / ".lock"
    lock.touch()
    for path in (course.root, *course.root.rglob("*")):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    code = (
        "import sys; from pathlib import Path; from autograder.course import Course\n"
        "from autograder.errors import CourseError\n"
        "try:\n    with Course(Path(sys.argv[1])).lock(): pass\nexcept CourseError as error: print(error)"
    )
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code, course.root],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "it can't be written; look at the permissions" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_a_regrading_that_cannot_be_recorded_takes_the_old_marks_back(
    root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable, monkeypatch: pytest.MonkeyPatch
):
    run(root, submissions, course, limits, cluster)
    assert points(course) == {"ann": 5, "bob": 5}
    record = Writer.__init__.__globals__["Recorder"].record

    def refuses(self, student: str, *arguments) -> None:
        if student == "ann":
            raise RuntimeError("nbgrader has a bug")
        record(self, student, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("autograder.gradebook.Recorder.record", refuses)
        results = run(root, submissions, course, limits, cluster, regrade=True)
    assert [result.outcome for result in results.values()] == ["grader-error", "graded"]
    assert "nbgrader has a bug" in results["ann"].message
    assert results["ann"].points == 0
    with course.gradebook("toy") as gradebook:
        grades = gradebook.find_submission("toy", "ann").notebooks[0].grades
        assert {(grade.auto_score, grade.needs_manual_grade) for grade in grades} == {(None, True)}
    assert points(course) == {"ann": 0, "bob": 5}
    assert Ledger(course.ledger).last("toy", "ann")["outcome"] == "grader-error"
    again = run(root, submissions, course, limits, cluster)
    assert (again["ann"].outcome, again["bob"]) == ("graded", None)


# ------------------------------------------------------------------ the end of a run


def test_the_summary_tells_outcomes_points_and_speed():
    records = {
        f"s{i}": {"outcome": "graded" if i else "empty", "points": 2.5 * i, "max_points": 10, "by_hand": i % 2}
        for i in range(5)
    }
    results = {student: Result("toy", []) if student != "s4" else None for student in records}
    lines = summary(results, records, 8.0)
    assert lines[0] == "4 graded, 1 unchanged; 8.0 s, 2.00 s a submission, 1800 an hour"
    assert lines[1].strip() == "4  graded: ran to its end"
    assert lines[3].startswith("points of 10: lowest 0, quarter 2.5, median 5, three quarters 7.5, highest 10")
    assert lines[4] == "2 have answers to be graded by hand, not counted above"


def test_bars_are_as_high_as_there_are_students():
    assert histogram([0, 0, 5, 10], 10) == "█    ▄   ▄"
    assert histogram([3], 0) == "█         "


def test_results_come_in_the_order_of_the_students_and_without_their_notebooks(
    root: Path, submissions: Path, course: Course, limits: Limits, cluster: Callable
):
    results = run(root, submissions, course, limits, cluster, unit="toyunits:slow")
    assert list(results) == ["ann", "bob"]
    assert all(not notebook.executed for result in results.values() for notebook in result.notebooks)
