"""Where the daemon listens: its own bind, one daemon a socket, systemd's sockets taken over."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from darumad.control.client import Client
from darumad.control.places import socket_path
from darumad.control.sockets import adopted, open_control_socket, open_metrics_socket
from darumad.errors import Refused, Unavailable
from darumad.settings import places
from tests.kit import eventually


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)  # a short way to a long place
    yield Path("control.sock")
    os.chdir(before)


def test_a_socket_is_bound_for_owner_and_group_and_gone_when_closed(path: Path) -> None:
    control = open_control_socket(path, group=os.getegid())
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    control.close()
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_lock_that_root_makes_in_a_daemon_s_place_is_that_daemon_s(path: Path) -> None:
    os.chown(path.absolute().parent, 65534, 65534)
    open_control_socket(path).close()
    assert path.with_name("control.sock.lock").stat().st_uid == 65534


def test_a_second_daemon_on_the_same_socket_is_refused_and_the_first_keeps_it(path: Path) -> None:
    control = open_control_socket(path)
    with pytest.raises(Refused, match=rf"another daemon \(pid {os.getpid()}\) listens at ") as refused:
        open_control_socket(path)
    assert refused.value.code == "socket_taken"
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    control.close()


def test_a_place_where_no_socket_can_be_is_refused_with_the_setting(path: Path) -> None:
    path.touch()
    with pytest.raises(Refused, match=r"control\.socket is .*, and it cannot be had") as refused:
        open_control_socket(path / "below")
    assert refused.value.code == "bad_settings"


def test_a_client_that_is_given_a_plain_file_is_told_so(path: Path) -> None:
    path.touch()
    with pytest.raises(Unavailable, match="is no socket") as told:
        Client(path).call("status")
    assert told.value.code == "no_socket"


@pytest.mark.parametrize("kind", ["a directory", "below a plain file", "a ring of links", "no stream"])
def test_what_cannot_be_a_control_socket_is_told_in_one_sentence(path: Path, kind: str) -> None:
    if kind == "a directory":
        path.mkdir()
    elif kind == "below a plain file":
        path.touch()
        path /= "control.sock"
    elif kind == "a ring of links":
        path.symlink_to(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        if kind == "no stream":
            other.bind(str(path))
        with pytest.raises(Unavailable, match=f"^{path} is no socket") as told:
            Client(path).call("status")
    assert told.value.code == "no_socket"


_AS_NOBODY = """
import os, sys
from pathlib import Path
from darumad.cli import main, status
from darumad.control.places import socket_path
os.setuid(65534)
hidden = Path(sys.argv[1]) / "control.sock"
assert socket_path({"HOME": "/"}, system=hidden) == hidden
sys.exit(main(["status", "--socket", sys.argv[1]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_look_at_a_place_is_told_so_in_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0)
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", _AS_NOBODY, place], capture_output=True, text=True, check=False)
    assert done.stderr == f"daruma: you may not open {place}\n  -> Run the command as the daemon's user or as root.\n"
    assert done.returncode == 6


def test_a_daemon_that_takes_its_time_is_told_of_and_one_that_answers_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darumad.control.client.QUIET", 0.01)
    told: list[float] = []
    with socket.socket(socket.AF_UNIX) as listening, Client(path, silence=told.append) as client:
        listening.bind(str(path))
        listening.listen()

        def answer_once_it_is_told() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(1 << 16)
                eventually(lambda: bool(told))
                caller.sendall(ANSWER)
                caller.recv(1 << 16)
                caller.sendall(ANSWER)

        thread = threading.Thread(target=answer_once_it_is_told)
        thread.start()
        assert client.call("status", within=5.0) == {"boot": 31}
        assert told == [4.99]
        assert client.call("status", within=40.0) == {"boot": 31}
        thread.join()
    assert told == [4.99]


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"boot": 31}'


def test_a_connection_on_which_no_answer_came_in_time_is_not_used_again(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, Client(path) as client, ExitStack() as callers:
        listening.bind(str(path))
        listening.listen()

        def answer_the_second() -> None:
            for _ in range(2):
                caller, _ = listening.accept()
                callers.enter_context(caller)
            caller.recv(1 << 16)
            caller.sendall(ANSWER)

        thread = threading.Thread(target=answer_the_second)
        thread.start()
        with pytest.raises(Unavailable, match="did not answer in time"):
            client.call("status", within=0.01)
        assert client.call("status") == {"boot": 31}
        thread.join()


def test_a_client_that_came_too_early_is_answered_when_it_comes_again(path: Path) -> None:
    with Client(path) as client:
        for _ in range(2):
            with pytest.raises(Unavailable) as told:
                client.call("status")
            assert told.value.code == "unreachable"


_KILLED = """
import os, sys
from pathlib import Path
from darumad.control.sockets import open_control_socket
open_control_socket(Path(sys.argv[1]))
os._exit(9)
"""


def test_what_a_killed_daemon_left_is_replaced(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert path.exists()
    control = open_control_socket(path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    control.close()


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(Refused) as refused:
        open_control_socket(path)
    assert refused.value.code == "bad_settings"
    assert path.read_text() == "mine"


def test_a_socket_whose_file_is_taken_away_is_bound_again_with_its_mode(path: Path) -> None:
    control = open_control_socket(path)
    assert control.in_place
    path.unlink()
    assert not control.in_place
    control.bind_again()
    assert control.in_place
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    control.close()
    assert not path.exists()


def test_a_socket_whose_directory_is_taken_away_is_bound_and_locked_again() -> None:
    with tempfile.TemporaryDirectory(prefix="daruma-") as short:
        path = Path(short) / "run" / "control.sock"
        control = open_control_socket(path)
        shutil.rmtree(path.parent)
        control.bind_again()
        with pytest.raises(Refused) as refused:
            open_control_socket(path)
        assert refused.value.code == "socket_taken"
        control.close()


def test_a_socket_is_not_taken_back_from_a_daemon_that_has_it_by_now(path: Path) -> None:
    control = open_control_socket(path)
    path.unlink()
    path.with_name("control.sock.lock").unlink()
    other = open_control_socket(path)
    with pytest.raises(Refused) as refused:
        control.bind_again()
    assert refused.value.code == "socket_taken"
    control.close()
    assert other.in_place, "and is left to it at the end"
    other.close()


def test_a_path_too_long_for_a_socket_is_refused_with_its_length(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 108) / "control.sock"
    with pytest.raises(Refused) as refused:
        open_control_socket(long)
    assert "107" in refused.value.message
    assert not long.parent.exists()


_PASSED = """
import os, socket, sys
from darumad.control.sockets import adopted, take_over
os.dup2(int(sys.argv[1]), 3)  # where systemd passes it
os.environ["LISTEN_PID"] = str(os.getpid())
passed = adopted(os.environ, os.getpid())
control = take_over(passed["control"])
listens = control.listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
print(control.path, listens, control.listening.get_inheritable())
control.close()
"""


def test_a_socket_of_systemds_is_taken_over_by_its_name_and_left_where_it_is(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        done = subprocess.run(
            [sys.executable, "-c", _PASSED, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "control"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.split() == [str(path), "1", "False"]
    assert path.exists()


def test_sockets_that_were_passed_to_another_process_are_not_ours() -> None:
    assert adopted({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid()) == {}
    assert adopted({}, os.getpid()) == {}


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "example.org:1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_metrics_are_served_on_a_loopback_address_or_not_at_all(address: str) -> None:
    with pytest.raises(Refused) as refused:
        open_metrics_socket(address)
    assert refused.value.code == "bad_settings"


def test_a_port_that_is_taken_is_named_and_may_be_had_later() -> None:
    with open_metrics_socket("127.0.0.1:0") as first, pytest.raises(Unavailable) as taken:
        open_metrics_socket(f"127.0.0.1:{first.getsockname()[1]}")
    assert "cannot be had" in taken.value.message


def test_a_client_looks_where_it_is_told_then_where_the_daemon_is_told_then_at_the_usual_place(tmp_path: Path) -> None:
    system = tmp_path / "control.sock"
    told = {"DARUMA_SOCKET": "/a", "DARUMA_CONTROL__SOCKET": "/b", "XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/u"}
    assert socket_path(told, root=False) == Path("/a")
    del told["DARUMA_SOCKET"]
    assert socket_path(told, root=True) == Path("/b")
    del told["DARUMA_CONTROL__SOCKET"]
    assert socket_path(told, root=True) == Path("/run/daruma/control.sock")
    assert socket_path(told, root=False, system=system) == Path("/run/user/7/daruma/control.sock")
    del told["XDG_RUNTIME_DIR"]
    assert socket_path(told, root=False, system=system) == Path("/home/u/.local/state/daruma/control.sock")
    system.touch()
    assert socket_path(told, root=False, system=system) == system


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize(
    "environ", [{"HOME": "/home/u"}, {"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}, {"HOME": "/h", "XDG_STATE_HOME": "/s"}]
)
def test_client_and_daemon_mean_the_same_place(environ: dict[str, str], root: bool, tmp_path: Path) -> None:
    others = {} if root else {"system": tmp_path / "nobody"}
    assert socket_path(environ, root=root, **others) == places(environ, root=root).socket


def test_a_path_without_a_files_name_is_refused() -> None:
    with pytest.raises(Refused, match="give the path of a file") as refused:
        open_control_socket(Path("/"))
    assert refused.value.code == "bad_settings"
