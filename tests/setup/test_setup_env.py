"""The set-up: what it makes, when it makes it again, and what it says when it can't."""

import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

spec = importlib.util.spec_from_file_location("setup_env", TOOLS / "setup_env.py")
setup_env = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup_env)


def plenty(path):
    return 10**12


# --- finding a Python: the shell part -----------------------------------------------------------------------


def fake_python(folder: Path, name: str, version: str | None) -> None:
    """A `python` that answers as one of that version; None: a version manager's stand-in, which fails."""
    minor = int(version.split(".")[1]) if version else 0
    path = folder / name
    path.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        {"exit 127" if version is None else ""}
        case "$1 $2" in
            --version*) echo "Python {version}" ;;
            *version_info*) exit {int(minor < 11)} ;;
            -c*) exit 0 ;;
            *) echo "{name} runs $@" ;;
        esac
        """)
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def find_python(folder: Path, **env: str) -> subprocess.CompletedProcess:
    env = {"PATH": str(folder), **env}
    return subprocess.run(["/bin/sh", TOOLS / "setup_env.sh"], env=env, capture_output=True, text=True)


def test_takes_the_first_python_that_runs_and_is_new_enough(tmp_path):
    fake_python(tmp_path, "python3.13", None)
    fake_python(tmp_path, "python3.12", "3.12.1")
    fake_python(tmp_path, "python3", "3.9.2")
    run = find_python(tmp_path)
    assert run.stdout.startswith("python3.12 runs ")
    assert "--chosen" not in run.stdout


def test_takes_the_python_that_is_named(tmp_path):
    fake_python(tmp_path, "python3.13", "3.13.0")
    fake_python(tmp_path, "mine", "3.11.4")
    run = find_python(tmp_path, PYTHON="mine")
    assert run.stdout.startswith("mine runs ")
    assert "--chosen" in run.stdout


def test_says_that_only_old_pythons_are_there(tmp_path):
    fake_python(tmp_path, "python3", "3.9.2")
    fake_python(tmp_path, "python", "2.7.18")
    run = find_python(tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "needs Python 3.11 or newer" in run.stderr
    assert "python3 is Python 3.9.2; python is Python 2.7.18." in run.stderr
    assert "make PYTHON=" in run.stderr


def test_says_that_there_is_no_python(tmp_path):
    run = find_python(tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "found no Python on the PATH" in run.stderr


@pytest.mark.parametrize(("version", "says"), [("3.10.13", "is Python 3.10.13"), (None, "does not run")])
def test_keeps_to_a_named_python_that_will_not_do(tmp_path, version, says):
    fake_python(tmp_path, "python3.13", "3.13.0")
    fake_python(tmp_path, "mine", version)
    run = find_python(tmp_path, PYTHON="mine")
    assert (run.returncode, run.stdout) == (2, "")
    assert f"PYTHON=mine {says}" in run.stderr


# --- what stops it before pip runs --------------------------------------------------------------------------


def test_a_full_disk_stops_it_before_anything_is_written(tmp_path):
    with pytest.raises(setup_env.SetupError, match=r"has 1\.5 GB free, and setting up takes \d+\.\d GB"):
        setup_env.set_up(tmp_path, free_bytes=lambda path: int(1.5e9))
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_the_cache_is_used_only_where_it_fits_too(tmp_path, monkeypatch, system):
    monkeypatch.setattr(setup_env.platform, "system", lambda: system)
    peak, wheels = {
        "Linux": (setup_env.PEAK_CUDA, setup_env.WHEELS_CUDA),
        "Darwin": (setup_env.PEAK_CPU, setup_env.WHEELS_CPU),
    }[system]

    def fits(free_gb, cache=tmp_path):
        return setup_env.check_disk(tmp_path, cache, lambda path: int(free_gb * 1e9))

    assert fits(peak + wheels + 0.1)
    assert not fits(peak + wheels - 0.1)
    assert not fits(peak + wheels + 0.1, cache=None)
    with pytest.raises(setup_env.SetupError):
        fits(peak - 0.1)


def test_says_which_package_brings_venv():
    with pytest.raises(setup_env.SetupError, match=r"without ensurepip .* apt install python3\.\d+-venv"):
        setup_env.check_venv_module(lambda name: None if name == "ensurepip" else object())
    setup_env.check_venv_module(lambda name: object())


def test_shows_what_venv_said(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(setup_env.SetupError, match=r"(?s)-m venv .*taken failed\. It said:\n    .*Error"):
        setup_env.make_venv(tmp_path / "taken")


def test_a_second_make_waits_for_the_first(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(TOOLS)!r})
import setup_env
from pathlib import Path
print("waiting", flush=True)
with setup_env.alone_in(Path({str(tmp_path)!r})):
    print("in", flush=True)
"""
    with setup_env.alone_in(tmp_path):
        second = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert second.stdout.readline() == "waiting\n"
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=0.3)
    assert second.communicate(timeout=20)[0] == "in\n"


# --- what decides that it is done ---------------------------------------------------------------------------


def test_the_digest_depends_on_content_only(tmp_path):
    for name in setup_env.INPUTS:
        (tmp_path / name).write_text(f"content of {name}")
    first = setup_env.digest(tmp_path)
    os.utime(tmp_path / "pyproject.toml", (1, 1))
    (tmp_path / "README.md").write_text("does not matter")
    assert setup_env.digest(tmp_path) == first

    for name in setup_env.INPUTS:
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "\n")
        assert setup_env.digest(tmp_path) != first, name
        (tmp_path / name).unlink()
        assert setup_env.digest(tmp_path) != first, name
        (tmp_path / name).write_text(before)
    assert setup_env.digest(tmp_path) == first


# --- the whole of it, with a small project in place of this one ---------------------------------------------

BACKEND = """\
# The smallest build backend: pip can then install a project without fetching setuptools.
import zipfile

def _wheel(folder, line):
    name = "tiny_project-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as z:
        z.writestr("tiny_project.pth", line)
        info = "tiny_project-1.0.dist-info"
        z.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny-project\\nVersion: 1.0\\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        z.writestr(f"{info}/RECORD", "")
    return name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, "# not editable")

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, "# editable")
"""


def wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel with one module that holds its version."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as z:
        z.writestr(f"{name}.py", f"version = {version!r}\n")
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def bare_venv(tmp_path_factory) -> Path:
    venv = tmp_path_factory.mktemp("bare") / ".venv"
    setup_env.make_venv(venv)
    return venv


@pytest.fixture
def project(tmp_path, bare_venv, monkeypatch) -> Path:
    """A checkout with a bare environment that was never stamped, and a folder of wheels as its registry."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    for name in ("setup_env.sh", "setup_env.py"):
        shutil.copy(TOOLS / name, root / "tools" / name)
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tiny-project"\nversion = "1.0"\n'
    )
    (root / "requirements.txt").write_text("tinydep>=1\n.\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\n")
    (root / "requirements.lock").write_text("tinydep==1.1\n")
    for version in ("1.0", "1.1", "1.2"):
        wheel(root / "wheels", "tinydep", version)
    shutil.copytree(bare_venv, root / ".venv", symlinks=True)
    settings = root / ".venv/pyvenv.cfg"  # says where it was made; pretend that it was here
    settings.write_text(settings.read_text().replace(str(bare_venv), str(root / ".venv")))

    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "wheels"))
    return root


def installed(root: Path) -> str:
    command = [root / ".venv/bin/python", "-c", "import tinydep; print(tinydep.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_installs_what_the_lock_says_once(project, capsys):
    assert setup_env.set_up(project, free_bytes=plenty)
    assert installed(project) == "1.1"
    pth = next((project / ".venv").rglob("tiny_project.pth"))
    assert pth.read_text() == "# editable"
    assert not (project / ".venv/tmp").exists()
    assert "Successfully installed" in (project / ".venv/setup.log").read_text()
    assert "Bringing .venv up to date" in capsys.readouterr().out

    (project / "pyproject.toml").touch()
    assert not setup_env.set_up(project, free_bytes=plenty)
    assert capsys.readouterr().out == ""

    (project / "requirements.lock").write_text("tinydep==1.2\n")
    assert setup_env.set_up(project, free_bytes=plenty)
    assert installed(project) == "1.2"


def test_does_an_interrupted_install_again(project, monkeypatch):
    assert setup_env.set_up(project, free_bytes=plenty)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    (project / "requirements.lock").write_text("tinydep==1.0\n")
    with monkeypatch.context() as patch:
        patch.setattr(setup_env, "run_logged", interrupt)
        with pytest.raises(KeyboardInterrupt):
            setup_env.set_up(project, free_bytes=plenty)

    # The files are again as they were when an install last succeeded, but what lies in .venv may not be.
    (project / "requirements.lock").write_text("tinydep==1.1\n")
    assert setup_env.set_up(project, free_bytes=plenty)
    assert installed(project) == "1.1"


@pytest.mark.parametrize("damage", ["no interpreter", "no pip", "moved"])
def test_makes_a_broken_environment_anew(project, monkeypatch, damage):
    if damage == "no interpreter":
        shutil.rmtree(project / ".venv/bin")
    elif damage == "no pip":
        shutil.rmtree(next((project / ".venv").glob("lib/python*/site-packages/pip")))
    else:
        project = project.rename(project.with_name("elsewhere"))
        monkeypatch.setenv("PIP_FIND_LINKS", str(project / "wheels"))
    (project / ".venv/setup-digest").write_text(setup_env.digest(project))
    assert setup_env.set_up(project, free_bytes=plenty)
    assert installed(project) == "1.1"
    assert f"{project}/.venv/bin/python" in (project / ".venv/bin/pip").read_text()


def test_a_named_python_of_another_version_makes_it_anew(project):
    venv = project / ".venv"
    here = sys.version_info[:2]
    assert setup_env.usable(venv, None)
    assert setup_env.usable(venv, here)
    assert not setup_env.usable(venv, (here[0], here[1] + 1))


def run_as_make_does(project: Path, **env: str) -> subprocess.CompletedProcess:
    command = ["/bin/sh", project / "tools/setup_env.sh"]
    env = {**os.environ, "PYTHON": sys.executable, **env}
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_says_that_the_registry_is_out_of_reach(project):
    with socket.socket() as s:  # a port that was free a moment ago: nothing listens there
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    run = run_as_make_does(
        project,
        PIP_NO_INDEX="0",
        PIP_FIND_LINKS="",
        PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple",
        PIP_RETRIES="1",
    )
    assert run.returncode == 2
    assert "registry could not be reached" in run.stderr
    assert "PIP_INDEX_URL" in run.stderr
    assert "NewConnectionError" in run.stderr
    assert str(project / ".venv/setup.log") in run.stderr.replace("\n", "")
    assert "Traceback" not in run.stderr
    assert not (project / ".venv/setup-digest").exists()


def test_shows_the_end_of_what_pip_said_otherwise(project):
    (project / "requirements.txt").write_text("no-such-package-here\n")
    run = run_as_make_does(project)
    assert run.returncode == 2
    assert "pip could not install the packages. It ended with:\n    " in run.stderr
    assert "No matching distribution found for no-such-package-here" in run.stderr
    assert "setup.log" in run.stderr
    assert "Traceback" not in run.stderr


def test_says_that_the_disk_filled_up_on_the_way(tmp_path):
    text = "Collecting torch\nERROR: Could not install: [Errno 28] No space left on device\n"
    assert setup_env.explain(text, tmp_path / "setup.log").startswith("The disk filled up")


def test_quoted_lines_are_not_wrapped():
    long = "    " + "x" * 200
    wrapped = setup_env.wrap(f"{'word ' * 40}\n{long}").splitlines()
    assert wrapped[-1] == long
    assert all(len(line) <= 90 for line in wrapped[:-1])
