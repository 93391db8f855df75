"""Keys as the installed daemon keeps them: heeded without a restart, and found nowhere they do not belong."""

import http.server
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon
from tests.serving import serving

MARKER = "sk-marker-2c9e41f0b7a6"
NEXT = "sk-marker-77aa01d3c9fe"
MODEL = "claude-sonnet-5-5"


class Vendor(http.server.ThreadingHTTPServer):
    """Answers as Anthropic does to those who have the right key; everybody else gets it back in the error's body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.takes = MARKER
        self.wait: int | None = None
        """Seconds for which who has the wrong key is told to come again; None says that it is wrong."""
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vendor

    def do_GET(self) -> None:
        self._answer({"data": [{"type": "model", "id": MODEL}], "has_more": False})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer(None)

    def _answer(self, answer: Any) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.server.asked.append((self.command, key))
        if key != self.server.takes and self.server.wait is not None:
            body = {"type": "error", "error": {"type": "rate_limit_error", "message": "slower"}}
            self._send(429, body, wait=self.server.wait)
        elif key != self.server.takes:
            self._send(401, {"type": "error", "error": {"type": "authentication_error", "message": f"not {key}"}})
        elif answer is not None:
            self._send(200, answer)
        else:
            body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in _events())
            self._send(200, body.encode(), "text/event-stream")

    def _send(self, status: int, body: Any, kind: str = "application/json", wait: int | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        if wait is not None:
            self.send_header("retry-after", str(wait))
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests read stderr."""


def _events() -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": MODEL, "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": usage}  # fmt: skip
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It is done."}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
           "usage": {"output_tokens": 5}}  # fmt: skip
    yield {"type": "message_stop"}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server, serving(server):
        yield server


def settings(vendor: Vendor, **provider: Any) -> dict[str, Any]:
    return {
        "provider": {"use": "anthropic"},
        "providers": {"anthropic": {"base_url": vendor.url, **provider}},
        "executors": {"count": 2},
        "log": {"level": "debug"},
    }


def asking(name: str) -> dict[str, Any]:
    return {"id": name, "description": f"Say what {name} is about", "stages": ["execute"], "challenge": False}


def provider(daemon: Daemon) -> dict[str, Any]:
    (found,) = [each for each in daemon.client.call("providers list")["items"] if each["name"] == "anthropic"]
    return dict(found)


def becomes(daemon: Daemon, state: str) -> dict[str, Any]:
    eventually(lambda: provider(daemon)["state"] == state, PATIENCE)
    return provider(daemon)


def traces(daemon: Daemon, *markers: str) -> list[str]:
    """Every file below the daemon's home that holds a marker, but for the keys' own, and what `ps` would show."""
    assert daemon.process is not None
    files = [
        path
        for path in daemon.home.rglob("*")
        if path.is_file() and "key" not in path.relative_to(daemon.home).parts[0]
    ]
    shown = [Path(f"/proc/{daemon.process.pid}/cmdline")] if daemon.process.poll() is None else []
    return [str(path) for path in (*files, *shown) for each in markers if each.encode() in path.read_bytes()]


def replies(daemon: Daemon) -> str:
    """Everything that can be read of it over the socket."""
    calls = ("status", "health", "providers list", "secrets list", "budgets show", "agents list", "work list")
    said = [daemon.client.call(each) for each in calls]
    items = [daemon.item(each["id"], attempts=True, steps=True) for each in daemon.listed()]
    return json.dumps([said, items, daemon.events()]) + daemon.client.text("metrics")


def test_a_wrong_key_parks_its_items_and_the_right_one_in_the_store_lets_them_go_on_without_a_restart(
    house: Callable[..., Daemon], vendor: Vendor
) -> None:
    vendor.takes = NEXT
    daemon = house(settings(vendor)).start()
    assert becomes(daemon, "error")["reason"] == "it has no key"
    said = daemon.run("secrets", "set", "anthropic-api-key", given=f"{MARKER}\n")
    assert said.returncode == 0, said.stderr
    assert "the provider anthropic uses it from now on" in said.stdout
    for far_too_long in (100_000, 3_000_000):
        said = daemon.run("secrets", "set", "anthropic-api-key", given="k" * far_too_long)
        assert (said.returncode, "it is longer than 8000 characters" in said.stderr) == (2, True)
    said = daemon.run("secrets", "set", "anthropic-api-key", given=f"{MARKER}\n{MARKER}\n")
    assert (said.returncode, MARKER in said.stderr) == (2, False)
    assert "the secret anthropic-api-key is not kept: it has a line break in it" in said.stderr
    found = becomes(daemon, "error")
    daemon.client.submit(asking("first"))
    assert daemon.settled("first")["reason"] == "provider"
    eventually(lambda: provider(daemon)["reason"] == "it refuses the key (401)", PATIENCE)
    assert found["key"] in {None, "store: anthropic-api-key"}

    assert daemon.run("secrets", "set", "anthropic-api-key", given=NEXT).returncode == 0
    daemon.becomes("first", state="succeeded")
    assert becomes(daemon, "connected")["reason"] == f"it has {MODEL}"
    checked = daemon.run("providers", "check", "anthropic")
    assert (checked.returncode, "connected" in checked.stdout) == (0, True)

    assert MARKER not in replies(daemon)
    assert NEXT not in replies(daemon)
    assert MARKER not in checked.stdout + checked.stderr
    daemon.kill()
    assert traces(daemon, MARKER, NEXT) == []
    daemon.start()
    assert becomes(daemon, "connected")["key"] == "store: anthropic-api-key"
    assert traces(daemon, MARKER, NEXT) == []


def test_two_providers_that_name_one_secret_share_its_key_and_its_changes(
    house: Callable[..., Daemon], vendor: Vendor
) -> None:
    vendor.takes = NEXT
    shared = {"kind": "anthropic", "base_url": vendor.url, "secret": "the-company", "key_env": None}
    providers = {"fast": shared, "thorough": {**shared, "fallback": "fast"}}
    daemon = house({"provider": {"use": "thorough"}, "providers": providers}).start()
    assert daemon.run("secrets", "set", "the-company", given=MARKER).returncode == 0
    assert [daemon.run("providers", "check", name).returncode for name in providers] == [1, 1]
    said = daemon.run("secrets", "set", "the-company", given=NEXT)
    assert all(f"the provider {name} uses it from now on" in said.stdout for name in providers)
    assert [daemon.run("providers", "check", name).returncode for name in providers] == [0, 0]
    said = daemon.run("secrets", "remove", "the-company")
    assert all(f"the provider {name} uses it no longer" in said.stdout for name in providers)


def test_a_key_file_that_changes_is_heeded_and_its_key_is_in_nobodys_environment(
    house: Callable[..., Daemon], vendor: Vendor, home: Path
) -> None:
    file = home / "key"
    file.write_text(MARKER)
    file.chmod(0o600)
    daemon = house(settings(vendor, key_file=str(file))).start()
    assert becomes(daemon, "connected")["key"] == f"file: {file}"
    vendor.takes = NEXT
    assert daemon.run("providers", "check", "anthropic").returncode == 1
    file.write_text(NEXT)
    assert daemon.run("providers", "check", "anthropic").returncode == 0
    file.chmod(0o644)
    refused = daemon.run("providers", "check", "anthropic")
    assert (refused.returncode, "chmod 600" in refused.stdout) == (1, True)
    daemon.client.submit(asking("goes-on"))
    assert daemon.settled("goes-on")["state"] == "succeeded", "with the key that was read before"
    file.chmod(0o600)
    file.write_text("")
    refused = daemon.run("providers", "check", "anthropic")
    assert (refused.returncode, f"{file} is empty; put the key into it; the key" in refused.stdout) == (1, True)
    file.unlink()
    assert provider(daemon)["reason"].startswith(f"{file}")
    assert daemon.run("providers", "check", "anthropic").returncode == 1
    assert "still used" in provider(daemon)["reason"]
    eventually(lambda: "chmod 600" in daemon.said(), PATIENCE)
    assert traces(daemon, MARKER, NEXT) == []


def test_a_key_in_the_environment_is_used_once_read_and_told_to_nobody(
    house: Callable[..., Daemon], vendor: Vendor
) -> None:
    daemon = house(settings(vendor), environ={"ANTHROPIC_API_KEY": MARKER}).start()
    assert becomes(daemon, "connected")["key"] == "environment: ANTHROPIC_API_KEY"
    vendor.takes = NEXT
    daemon.client.submit(asking("refused"))
    assert daemon.settled("refused")["reason"] == "provider"
    assert MARKER in {key for _, key in vendor.asked}
    assert MARKER not in replies(daemon)
    assert traces(daemon, MARKER) == []


def test_a_key_that_no_request_can_carry_stops_nobody_who_does_without_it(house: Callable[..., Daemon]) -> None:
    daemon = house({"provider": {"use": "offline"}}, environ={"ANTHROPIC_API_KEY": f"{MARKER}\nX-Evil: 1"}).start()
    daemon.submit("goes-on")
    assert daemon.settled("goes-on")["state"] == "succeeded"
    assert "$ANTHROPIC_API_KEY holds a key that no request can carry" in provider(daemon)["reason"]
    assert MARKER not in replies(daemon)
    assert traces(daemon, MARKER) == []


def test_a_variable_that_holds_no_key_of_a_server_that_may_do_without_one_is_told_all_the_same(
    house: Callable[..., Daemon], vendor: Vendor
) -> None:
    far = {"kind": "openai", "base_url": f"{vendor.url}/v1", "model": MODEL, "key_env": "FAR_KEY"}
    given = {"provider": {"use": "far"}, "providers": {"far": far}}
    daemon = house(given, environ={"FAR_KEY": f"{MARKER}\nX-Evil: 1"}).start()
    for command in ("doctor",), ("providers", "check"), ("providers", "list"):
        said = daemon.run(*command)
        assert "$FAR_KEY holds a key that no request can carry: it has a line break in it; it is called without a" in (
            said.stdout
        )
        assert (said.returncode, MARKER in said.stdout) == (int(command != ("providers", "list")), False)
    assert traces(daemon, MARKER) == []


def test_items_wait_for_a_key_file_that_is_not_there_at_the_start(
    house: Callable[..., Daemon], vendor: Vendor, home: Path
) -> None:
    file = home / "key"
    daemon = house(settings(vendor, key_file=str(file))).start()
    daemon.client.submit(asking("waits"))
    parked = daemon.settled("waits")
    assert (parked["state"], parked["reason"]) == ("parked", "provider")
    assert f"{file}: No such file" in daemon.run("providers", "check").stdout
    file.touch(0o600)
    file.write_text(MARKER)
    assert daemon.run("providers", "check").returncode == 0
    daemon.becomes("waits", state="succeeded")


def test_what_is_parked_goes_on_after_a_restart_once_its_provider_is_found_well_and_not_before(
    house: Callable[..., Daemon], vendor: Vendor, home: Path
) -> None:
    """As after a daemon that was killed when its provider had been mended, and before it knew who was parked for it."""
    vendor.takes = NEXT
    daemon = house(settings(vendor), environ={"ANTHROPIC_API_KEY": MARKER}).start()
    daemon.client.submit(asking("waits"))
    assert daemon.settled("waits")["reason"] == "provider"
    daemon.kill()
    daemon.start()
    assert becomes(daemon, "error")["reason"] == "it refuses the key (401)"
    assert (daemon.item("waits")["state"], daemon.item("waits")["parks"]) == ("parked", 1)
    daemon.kill()
    vendor.takes = MARKER
    daemon.start()
    assert daemon.becomes("waits", state="succeeded")["parks"] == 1


def test_what_found_no_model_goes_on_after_a_restart_with_one(house: Callable[..., Daemon], vendor: Vendor) -> None:
    daemon = house({"provider": {"use": "offline"}}).start()
    daemon.client.submit(asking("waits"))
    assert daemon.settled("waits")["error"]["kind"] == "model_not_found"
    assert daemon.stop() == 0
    daemon.config.write_text(json.dumps(settings(vendor)))
    daemon.environ["ANTHROPIC_API_KEY"] = MARKER
    daemon.start()
    daemon.becomes("waits", state="succeeded")


def test_a_new_key_lets_those_go_on_who_wait_for_its_provider_and_nobody_else(
    house: Callable[..., Daemon], vendor: Vendor, home: Path
) -> None:
    files = {name: home / f"key-{name}" for name in ("near", "far")}
    for file in files.values():
        file.touch(0o600)
        file.write_text(MARKER)
    vendor.takes = NEXT
    both = {
        name: {"kind": "anthropic", "base_url": vendor.url, "model": MODEL, "key_file": str(file)}
        for name, file in files.items()
    }
    agents = {name: {"template": "general", "provider": name} for name in files}
    daemon = house({"provider": {"use": "offline"}, "providers": both, "agents": agents}).start()
    for name in files:
        daemon.client.submit({**asking(name), "agent": name})
        assert daemon.settled(name)["reason"] == "provider"
    told = daemon.events("work.ready", "near")
    files["far"].write_text(NEXT)
    assert daemon.run("providers", "check", "far").returncode == 0
    daemon.becomes("far", state="succeeded")
    assert (daemon.item("near")["state"], daemon.events("work.ready", "near")) == ("parked", told)


def test_who_must_wait_an_hour_for_one_key_goes_on_at_once_with_another(
    house: Callable[..., Daemon], vendor: Vendor, home: Path
) -> None:
    file = home / "key"
    file.touch(0o600)
    file.write_text(MARKER)
    daemon = house(settings(vendor, key_file=str(file))).start()
    assert becomes(daemon, "connected")["key"] == f"file: {file}"
    vendor.takes, vendor.wait = NEXT, 3_600
    daemon.client.submit(asking("waits"))
    daemon.becomes("waits", state="scheduled", reason="outage")
    said = provider(daemon)
    assert (said["state"], "it asked to be left alone: no call for 3," in said["reason"]) == ("error", True)
    assert f"provider anthropic: {said['reason'][:35]}" in daemon.run("status").stdout
    assert "left alone" in daemon.run("doctor").stdout
    file.write_text(NEXT)
    assert daemon.run("providers", "check").returncode == 0
    daemon.becomes("waits", state="succeeded")
    assert "provider anthropic" not in daemon.run("status").stdout


def test_a_systemd_credential_comes_before_all_others(house: Callable[..., Daemon], vendor: Vendor, home: Path) -> None:
    directory = home / "key-directory"
    directory.mkdir()
    (directory / "anthropic-api-key").write_text(MARKER)
    (directory / "anthropic-api-key").chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(directory), "ANTHROPIC_API_KEY": NEXT}
    daemon = house(settings(vendor), environ=environ).start()
    assert becomes(daemon, "connected")["key"] == "systemd: anthropic-api-key"
