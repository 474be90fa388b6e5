"""pixiw on a small project of its own, built by a real pip that may not use the network."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WRAPPER = Path(__file__).parents[2] / "pixiw"
TINY = Path(__file__).parent / "tiny"


class Project:
    """A copy of `tiny` with the wrapper; `run` calls it from another folder, with no pixi on PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(TINY, root, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(WRAPPER, root)

    def start(self, *words: str, stdout: int = subprocess.PIPE, **variables: str) -> subprocess.Popen[str]:
        folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "pixi").exists()]
        environ = {**os.environ, "PATH": os.pathsep.join(folders), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
        return subprocess.Popen(
            [sys.executable, self.root / "pixiw", *words],
            cwd=self.root.parent,
            env={**environ, **variables},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **variables)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def lines(self, name: str) -> list[str]:
        return (self.root / name).read_text().splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose environment two terminals asked for at once."""
    project = Project(tmp_path_factory.mktemp("made once") / "check out")
    for terminal in [project.start("run", "words"), project.start("run", "words")]:
        err = terminal.communicate()[1]
        assert terminal.returncode == 0, err
    assert project.lines("builds") == ["built"]
    return project


def test_dependencies_run_first_and_once(installed: Project) -> None:
    (installed.root / "order").unlink(missing_ok=True)
    assert installed.run("run", "all").returncode == 0
    assert installed.lines("order") == ["first", "left", "right", "all"]


def test_words_arrive_as_they_are(installed: Project) -> None:
    words = ["--flag", "-e", "two words", "it's", '"', "$HOME", "*", "", "a;exit 1", "--", "-h"]
    done = installed.run("run", "words", *words)
    assert done.returncode == 0
    assert done.stdout.split("\n")[:-1] == words


def test_task_runs_in_the_project_with_its_environment(installed: Project) -> None:
    done = installed.run("run", "words")
    assert done.stderr.splitlines()[-2:] == [str(installed.root / ".pixiw" / "default"), str(installed.root)]


@pytest.mark.parametrize(("task", "status"), [("fails", 7), ("after-failure", 7), ("after-death", 137)])
def test_status_is_that_of_the_task(installed: Project, task: str, status: int) -> None:
    done = installed.run("run", task)
    assert done.returncode == status
    assert done.stdout == ""


def test_chain_gets_the_words_at_its_end(installed: Project) -> None:
    assert installed.run("run", "chain", "three").stdout == "one\ntwo three\n"


def test_signal_reaches_the_program(installed: Project) -> None:
    process = installed.start("run", "waits")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[0] == "saved\n"
    assert process.returncode == 3


def test_environment_is_made_once(installed: Project) -> None:
    builds = installed.lines("builds")
    done = installed.run("run", "words")
    assert "making" not in done.stderr
    assert installed.lines("builds") == builds


@pytest.mark.parametrize("words", [["run", "nosuch"], ["run", "-e", "nosuch", "words"]])
def test_unknown_name_lists_the_known_ones(installed: Project, words: list[str]) -> None:
    done = installed.run(*words)
    assert done.returncode == 2
    assert ("after-failure" if words[1] == "nosuch" else "impossible") in done.stderr


def test_any_program_of_the_environment_runs_in_it(installed: Project) -> None:
    code = "import os, sys; print(sys.prefix, os.getcwd(), *sys.argv[1:])"
    done = installed.run("run", "python", "-c", code, "two words", "--option")
    environment = installed.root / ".pixiw" / "default"
    assert done.stdout == f"{environment} {installed.root} two words --option\n", done.stderr
    assert installed.run("run", "python", "-c", "raise SystemExit(7)").returncode == 7


def test_programs_keep_what_they_compile(installed: Project) -> None:
    code = "import sys; print(sys.dont_write_bytecode)"
    assert installed.run("run", "python", "-c", code, PYTHONDONTWRITEBYTECODE="1").stdout == "False\n"


def test_unknown_command_is_wrong_usage(installed: Project) -> None:
    assert installed.run("nosuch").returncode == 2


def test_shell_has_the_environment_and_stays_in_the_folder(installed: Project) -> None:
    shell = installed.root / "show shell"
    shell.write_text("#!/bin/sh\ncommand -v python\npwd\n")
    shell.chmod(0o755)
    done = installed.run("shell", SHELL=str(shell))
    assert done.stdout.splitlines() == [f"{installed.root}/.pixiw/default/bin/python", str(installed.root.parent)]


def test_listing_aligns_tasks_in_their_groups(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    manifest = project.root / "pixi.toml"
    groups = '[tool.pixiw.environments]\nindexed = "has an index"\n'
    groups += '[tool.pixiw.groups]\n"one by one" = ["first", "after-failure"]\nrest = ["words"]\n'
    manifest.write_text(manifest.read_text() + groups)
    lines = project.run().stdout.splitlines()
    shown = lines[lines.index("one by one:") :]
    assert shown[:3] == ["one by one:", "  first          Comes first", "  after-failure  Cannot run"]
    assert shown[4:6] == ["rest:", "  words          Prints its words"]
    assert "  indexed        has an index" in shown
    assert "Python: 3.11, 3.12, 3.13; this is 3." in shown[-1]


def test_an_installation_shows_little_and_logs_the_rest(installed: Project) -> None:
    log = (installed.root / ".pixiw" / "default.log").read_text()
    assert "Successfully installed tiny-1" in log


@pytest.mark.parametrize("words", [[], ["task", "list"]])
def test_listing_names_tasks_and_environments(installed: Project, words: list[str]) -> None:
    done = installed.run(*words)
    assert done.returncode == 0
    assert "Needs both" in done.stdout
    assert "environments:\n  default\n  impossible\n  indexed\n" in done.stdout


def test_a_reader_who_has_seen_enough_is_no_error(installed: Project) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    listing = installed.start(stdout=writing)
    os.close(writing)
    assert listing.communicate()[1] == ""


def test_an_interrupted_install_ends_its_processes_and_starts_afresh(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    endless, leftover = project.root / "endless", project.root / ".pixiw" / "default" / "leftover"
    for number in (signal.SIGINT, signal.SIGTERM):
        os.mkfifo(endless)
        process = project.start("run", "words")
        with endless.open() as building:  # waits until the build opens it
            assert not leftover.exists()
            process.send_signal(number)
            out, err = process.communicate()
            assert building.read() == ""  # waits until the build has ended
        assert (process.returncode, out) == (128 + number, "")
        assert err.splitlines()[1:] == ["pixiw: interrupted; the next run makes the environment from the beginning"]
        endless.unlink()
        leftover.touch()
    assert len(project.lines("builds")) == 2


def test_a_failing_install_is_reported(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    done = project.run("run", "-e", "impossible", "words")
    assert done.returncode != 0
    assert "the installation failed after " in done.stderr
    assert "no-such-package-anywhere" in done.stderr
    assert done.stdout == ""
    assert not (project.root / ".pixiw" / "impossible" / "pixiw.stamp").exists()  # so that it is tried again


def test_environment_may_have_an_index_and_constraints_of_its_own(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.root / "constraints.txt").write_text("special==2")
    (project.root / "constraints-indexed.txt").write_text("special==1")
    manifest = project.root / "pixi.toml"
    manifest.write_text(manifest.read_text().replace("INDEX", str(tmp_path)))
    shelf = tmp_path / "special"
    shelf.mkdir()
    code = f"import backend; print(backend.write_wheel({str(shelf)!r}, 'special', '1+cpu'))"
    wheel = subprocess.check_output([sys.executable, "-c", code], cwd=project.root, text=True).strip()
    (shelf / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    done = project.run("run", "-e", "indexed", "words", PIP_NO_INDEX="0")
    assert done.returncode == 0, done.stderr
    assert list((project.root / ".pixiw" / "indexed").rglob("special-1+cpu.dist-info"))


def test_changed_ingredient_starts_afresh(installed: Project) -> None:
    leftover, builds = installed.root / ".pixiw" / "default" / "leftover", len(installed.lines("builds"))
    leftover.touch()
    (installed.root / "constraints.txt").write_text("tiny==1")
    done = installed.run("run", "words")
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("pixiw: ")][1].startswith("pixiw: made in ")
    assert "Successfully" not in done.stderr
    assert not leftover.exists()
    assert len(installed.lines("builds")) == builds + 1


def test_pixi_on_path_gets_the_words(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    pixi = tmp_path / "bin" / "pixi"
    pixi.parent.mkdir()
    pixi.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\nexit 5\n')
    pixi.chmod(0o755)
    done = project.run("run", "-e", "gpu", "task", "two words", PATH=str(pixi.parent))
    assert done.returncode == 5
    assert done.stdout.splitlines() == [str(project.root), "run", "-e", "gpu", "task", "two words"]
    assert not (project.root / ".pixiw").exists()
