"""What is installed beside the code: systemd takes the units, they give away little, and `make` has its targets."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from darumad.control.metrics_table import METRICS
from darumad.journal.migrating import copy_before
from darumad.journal.state_directory import SCHEMA_VERSION, StateDirectory
from darumad.settings import Daemon, ProviderSettings, load
from darumad.settings.places import places
from darumad.work.blame import BARREN_LIVES, MAX_CRASHES

ROOT = Path(__file__).parents[2]
ANALYZE = shutil.which("systemd-analyze")
PROMTOOL = shutil.which("promtool")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed here")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed here")


def read(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "systemd" / unit)
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be found, with a program that exists."""
    for unit in ("darumad.service", "darumad.socket"):
        text = (ROOT / "systemd" / unit).read_text().replace("/usr/local/bin/daruma", shutil.which("true") or "")
        (tmp_path / unit).write_text(text)
    return tmp_path


@needs_systemd
def test_systemd_takes_the_units_without_a_word(installed: Path) -> None:
    done = subprocess.run(
        [str(ANALYZE), "verify", installed / "darumad.service", installed / "darumad.socket"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (0, "")


@needs_systemd
def test_a_user_s_systemd_takes_the_user_unit_without_a_word(tmp_path: Path) -> None:
    text = (
        (ROOT / "systemd/user/darumad.service").read_text().replace("%h/.local/bin/daruma", shutil.which("true") or "")
    )
    (tmp_path / "darumad.service").write_text(text)
    done = subprocess.run(
        [str(ANALYZE), "--user", "verify", "--man=no", tmp_path / "darumad.service"],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (0, "")


@needs_systemd
def test_the_service_gives_away_little(installed: Path) -> None:
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=25", "--no-pager", installed / "darumad.service"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:]


@pytest.mark.parametrize("unit", ["darumad.service", "user/darumad.service"])
def test_the_service_is_told_ready_watched_and_not_restarted_for_what_stays_wrong(unit: str) -> None:
    service = read(unit)["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "64 78"
    assert int(service["TimeoutStopSec"]) > Daemon().drain_timeout


@pytest.mark.parametrize("unit", ["darumad.service", "user/darumad.service"])
def test_three_items_that_kill_the_daemon_do_not_end_the_service_and_what_falls_for_ever_does(unit: str) -> None:
    service, limit = read(unit)["Service"], read(unit)["Unit"]
    starts, seconds = int(limit["StartLimitBurst"]), int(limit["StartLimitIntervalSec"])
    killers = 3
    assert starts > 1 + killers * (BARREN_LIVES + MAX_CRASHES)
    assert starts * (int(service["RestartSec"]) + int(service["WatchdogSec"])) < seconds


def test_the_socket_unit_owns_the_place_that_root_expects() -> None:
    socket = read("darumad.socket")["Socket"]
    assert socket["ListenStream"] == "/run/daruma/control.sock"
    assert socket["SocketMode"] == "0660"
    assert "RuntimeDirectory" not in read("darumad.service")["Service"]


def test_the_credential_in_the_unit_is_the_one_that_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "anthropic-api-key").write_text("k" * 20)
    named = re.findall(r"^#LoadCredential=([\w-]+):", (ROOT / "systemd/darumad.service").read_text(), re.MULTILINE)
    assert named == ["anthropic-api-key"]
    provider: ProviderSettings = load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path), "HOME": "/nobody"}).providers[
        "anthropic"
    ]
    assert provider.key_file == tmp_path / named[0]


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/run-under-systemd.md", "docs/how-to/upgrade.md"])
def test_the_lines_that_install_it_stop_at_the_first_that_fails_and_make_the_directories_that_no_systemd_has(
    page: str,
) -> None:
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
        if "install" in block:
            *lines, last = block.splitlines()
            assert [each for each in lines if not each.endswith(" &&")] == []
            assert "systemctl" in last or "loginctl" in last
            into = re.findall(r"install (.*?)(?: &&|\n)", block)
            assert [each for each in into if each.endswith(".conf") and not each.startswith("-D ")] == []


def test_the_settings_have_the_mode_that_the_unit_and_its_directory_agree_on() -> None:
    assert (
        f"d /etc/daruma {read('darumad.service')['Service']['ConfigurationDirectoryMode']} "
        in (ROOT / "systemd/darumad.tmpfiles").read_text()
    )


def test_the_user_unit_leaves_the_state_where_the_commands_look_for_it() -> None:
    """Before 254 systemd has a StateDirectory= of a user's in ~/.config."""
    assert not {"StateDirectory", "ConfigurationDirectory"} & set(read("user/darumad.service")["Service"])


def test_the_page_on_going_back_names_the_copy_that_this_version_makes() -> None:
    page = (ROOT / "docs/how-to/upgrade.md").read_text()
    copy = copy_before(StateDirectory(Path("/var/lib/daruma")))
    assert f"daruma restore {copy} " in page
    assert f"of version {SCHEMA_VERSION}; this program knows\nversion {SCHEMA_VERSION - 1}" in page


def test_make_alone_says_what_can_be_made() -> None:
    done = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, timeout=60, check=True)
    for target in ("help", "demo", "test", "lint", "bench", "clean"):
        assert f"make {target}" in done.stdout


def test_ci_calls_what_a_person_calls() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert [line.split()[1] for line in script.splitlines() if line.startswith("make ")] == [
        "lint", "test", "mutants", "crash", "demo",
    ]  # fmt: skip
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_the_versions_of_python_that_are_claimed_are_the_page_s_and_ci_runs_the_oldest_and_the_newest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest, *between, newest = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert project["requires-python"] == f">={oldest}"
    said = f"Python {oldest} or later (tested with {', '.join([oldest, *between])} and {newest})"
    assert said in (ROOT / "README.md").read_text()
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["check"]
    assert job["strategy"]["matrix"]["python"] == [oldest, newest]
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"  # else make takes the oldest that the machine has


def test_the_lock_names_every_file_by_its_hash_and_no_address() -> None:
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    assert "://" not in lock
    assert len(re.findall(r"^\S+==\S+ \\$", lock, re.MULTILINE)) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE))


def test_every_alert_is_about_a_metric_that_there_is() -> None:
    text = (ROOT / "config" / "prometheus" / "alerts.yml").read_text()
    known = {shape.full for shape in METRICS.values()}
    asked = {
        name for rule in yaml.safe_load(text)["groups"][0]["rules"] for name in re.findall("daruma_\\w+", rule["expr"])
    }
    assert asked
    assert asked <= known


@needs_promtool
def test_prometheus_takes_the_scrape_job_and_fires_each_alert_when_it_should_and_no_sooner(tmp_path: Path) -> None:
    for file in (*(ROOT / "config/prometheus").iterdir(), ROOT / "tests/docs/alerts.test.yml"):
        shutil.copy(file, tmp_path)
    for check in (("check", "config", "scrape.yml"), ("test", "rules", "alerts.test.yml")):
        done = subprocess.run(
            [str(PROMTOOL), *check], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_under_systemd_the_settings_are_read_from_where_the_unit_says() -> None:
    assert read("darumad.service")["Service"]["ConfigurationDirectory"] == "daruma"
    found = places({"CONFIGURATION_DIRECTORY": "/etc/daruma", "HOME": "/var/lib/daruma"}, root=False)
    assert found.settings_file == Path("/etc/daruma/daruma.yaml")


def test_every_skip_is_on_the_list_of_those_that_are_allowed() -> None:
    allowed = {line for line in (ROOT / "tests/allowed_skips.txt").read_text().splitlines() if not line.startswith("#")}
    skips = re.compile(r"(?:skipif|mark\.skip|pytest\.skip|importorskip)\(.*?\)\n", re.DOTALL)
    for file in (ROOT / "tests").rglob("*.py"):
        if file != Path(__file__):
            for skip in skips.findall(file.read_text()):
                assert any(f'"{reason}"' in skip for reason in allowed), f"{file}: {skip}"
