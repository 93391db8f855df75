"""`daruma doctor`: looks for what is in the way, with the daemon up or down, and says how to mend it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.paths import PathType
from darumad.cli.speaking import Json
from darumad.errors import DarumaError, Refused, read_only
from darumad.values import Value

if TYPE_CHECKING:
    from darumad.settings import Settings

Mark = Literal["ok", "note", "bad"]
ANSWERS_WITHIN = 5.0
"""Seconds after which a daemon that is there and does not answer hangs."""
_TRY_WITHIN = 10.0
_MIB = 1 << 20
_LITTLE_DISK = 1024 * _MIB
_OPEN_TO_OTHERS = 0o077


class Finding(Value):
    """One thing looked at: `bad` is in the way, `note` is worth knowing; `fix` says what to do about it."""

    name: str
    mark: Mark
    says: str
    fix: str = ""


@click.command()
@click.option("--config", "file", type=PathType(), metavar="FILE", help="The settings file.")
@online
def doctor(line: Line, file: Path | None) -> None:
    """What is in the way, and how to mend it. Ends with 1 when a line says BAD; a note ends nothing.

    With --config the daemon is looked for where that file says.
    """
    findings = list(_examined(line, file))
    line.show({"items": [_plain(each) for each in findings]}, _lines)
    if any(each.mark == "bad" for each in findings):
        click.get_current_context().exit(WORK_FAILED)


def _examined(line: Line, file: Path | None) -> Iterable[Finding]:
    settings, found = _settings(file)
    status, daemon = _daemon(line)
    yield found if settings is None or status is None else _as_the_daemon(settings, status, found)
    yield daemon
    if settings is not None:
        yield _state_directory(settings, (status or {}).get("state_dir"))
        if settings.log.file:
            yield _log_file(settings.log.file)
    health = line.client.call("health") if status is not None else None
    if health is not None:
        yield _journal(health["journal"])
    yield _agents(settings, health)
    yield _provider(line, settings, status)
    yield _sandbox()
    yield _systemd()


def _settings(file: Path | None) -> "tuple[Settings | None, Finding]":
    from darumad.settings import load  # noqa: PLC0415 - needed offline only

    try:
        settings = load(file, os.environ)
    except Refused as refused:
        problems = "; ".join(f"{each.pointer} {each.detail}" for each in refused.problems)
        return None, Finding("settings", "bad", f"{refused.message}: {problems}", refused.entry.next_step)
    said = f"{len(settings.said)} set" if settings.said else "all at their defaults"
    return settings, Finding("settings", "ok", said)


def _as_the_daemon(settings: "Settings", status: Json, found: Finding) -> Finding:
    """What was found of the settings, or that the daemon that runs reads others: what is looked at here is not its."""
    ours, theirs = settings.read_from, status.get("settings_file")
    if "settings_file" not in status or theirs == (ours and str(ours)):
        return found
    says = f"read from {ours or 'no file'}, and the daemon's from {theirs or 'no file'}"
    return Finding("settings", "note", says, f"daruma doctor --config {theirs or os.devnull}")


def _daemon(line: Line) -> tuple[Json | None, Finding]:
    try:
        status = line.client.call("status", within=ANSWERS_WITHIN)
    except DarumaError as error:
        hangs = error.code != "unreachable"  # one that was not started is in nobody's way
        return None, Finding("daemon", "bad" if hangs else "note", error.message, error.entry.next_step)
    red = [
        f"{name} {sign if isinstance(sign, str) else ''}"
        for name, sign in status["vital_signs"].items()
        if sign is not True
    ]
    if red:
        return status, Finding(
            "daemon", "bad", f"not well: {', '.join(red)}", "See `daruma tree` and the log; restart it if it stays so."
        )
    return status, Finding("daemon", "ok", f"{status['state']}, version {status['version']}, at {line.client.path}")


def _state_directory(settings: "Settings", theirs: str | None) -> Finding:
    """How it is with the directory of the daemon that answers, which says that it is `theirs`, or with our own."""
    name, path = "state directory", Path(theirs) if theirs else settings.state_dir
    if theirs and not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return Finding(name, "note", f"{path}, which is the daemon's user's to look into", "Run this as that user.")
    try:
        return _looked_into(name, path, settings.journal.low_water)
    except OSError as error:
        says = f"{path} cannot be looked at: {error.strerror}"
        return Finding(name, "bad", says, "Run this as the daemon's user, or set state_dir.")


def _looked_into(name: str, path: Path, low_water: int) -> Finding:
    above = next(each for each in (path, *path.parents) if each.exists())
    if (sealed := _sealed(above)) is not None:
        return Finding(name, "bad", *sealed)
    if not path.exists():
        if os.access(above, os.W_OK | os.X_OK):
            return Finding(name, "ok", f"{path} will be made at the first start")
        return Finding(
            name, "bad", f"{path} cannot be made in {above}", "Make it for the daemon's user, or set state_dir."
        )
    if (amiss := _amiss(path)) is not None:
        return Finding(name, "bad", *amiss)
    free = shutil.disk_usage(path).free
    if free < _LITTLE_DISK:
        low, mark = free < low_water, low_water // _MIB
        stopped = f": with less than {mark} MiB (`journal.low_water`) nothing new is taken in" if low else ""
        return Finding(name, "bad", f"{path} has {free // _MIB} MiB left{stopped}", "Make room on its disk.")
    return Finding(name, "ok", f"{path}, {free // _MIB // 1024} GiB free")


def _sealed(path: Path) -> tuple[str, str] | None:
    """That nobody can write there, and what to do; None where only its owner, or who may, decides that."""
    from darumad.journal.state_directory import is_read_only  # noqa: PLC0415 - no other online command needs it

    if not is_read_only(path):
        return None
    error = read_only(path)
    return error.message, error.entry.next_step


def _amiss(path: Path) -> tuple[str, str] | None:
    """Why no daemon could begin, or should, in the state directory, and what to do; None when one could."""
    from darumad.journal.state_directory import StateDirectory, check_owner, examine  # noqa: PLC0415 - no other online command needs it

    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return f"{path} is not yours to write", "Run this as the daemon's user, or set state_dir."
    if path.stat().st_mode & _OPEN_TO_OTHERS:
        return f"{path} is open to others", f"chmod 700 {path}"
    try:
        check_owner(state := StateDirectory(path.absolute()))
        examine(state)
    except DarumaError as error:
        return error.message, error.entry.next_step
    return None


def _log_file(path: Path) -> Finding:
    from darumad.logs import check_file  # noqa: PLC0415 - no other command needs it

    try:
        check_file(path)
    except Refused as refused:
        (problem,) = refused.problems
        return Finding(
            "log file", "bad", f"log.file {problem.detail}", "Set log.file, or run this as the daemon's user."
        )
    return Finding("log file", "ok", str(path))


def _journal(wrong: Sequence[str] | None) -> Finding:
    """What the daemon's own check found, some time after its start."""
    if wrong is None:
        return Finding(
            "journal", "note", "not looked at since the daemon started", "`daruma journal check` looks at it now."
        )
    if not wrong:
        return Finding("journal", "ok", "what was read of it after the start is as it was written")
    fix = "Stop the daemon, then `daruma restore` the last good backup; docs/how-to/back-up-and-restore.md says how."
    return Finding("journal", "bad", "; ".join(wrong), fix)


def _agents(settings: "Settings | None", health: Json | None) -> Finding:
    """Which agents the daemon could make; with none up, which one could make now."""
    if health is not None:
        made: Mapping[str, bool | str] = health["agents"]
    elif settings is None:
        return Finding("agents", "note", "not looked for: the settings are wrong")
    else:
        made = _could_make(settings)
    broken = {name: why for name, why in made.items() if why is not True}
    if not broken:
        return Finding("agents", "ok", f"{len(made)} of {len(made)} can be made")
    says = "; ".join(f"{name}: {why}" for name, why in broken.items())
    first = next(iter(broken))
    return Finding(
        "agents",
        "bad",
        f"{len(made) - len(broken)} of {len(made)} can be made; {says}",
        f"Correct the template; `daruma agents restart {first}` takes a corrected file up, a changed setting needs a "
        "restart of the daemon.",
    )


def _could_make(settings: "Settings") -> Mapping[str, bool | str]:
    from darumad.daemon.configured import agent_definitions, unmade  # noqa: PLC0415 - needed with the daemon down only

    broken = unmade(settings)
    names = (each.name for group in agent_definitions(settings).values() for each in group)
    return {name: broken.get(name, True) for name in names}


def _provider(line: Line, settings: "Settings | None", status: Json | None) -> Finding:
    """What the daemon chose, and what is amiss with those that it uses; with none up, what one would find now."""
    if status is not None:
        chosen = status["provider"]
        amiss, key, unsure = _listed(line, chosen["provider"])
    elif settings is not None:
        chosen, amiss, key = _would_choose(settings)
        unsure = None
    else:
        return Finding("provider", "note", "not looked for: the settings are wrong")
    model = f" {chosen['model']}" if chosen.get("model") else ""
    says = f"{chosen['provider']}{model}: {chosen['why']}" + (f"; its key is from {key}" if key else "")
    if amiss:
        fix = "Correct what is named; `daruma providers check` asks again."
        return Finding("provider", "bad", "; ".join((says, *amiss)), fix)
    if unsure is not None:
        return Finding("provider", "note", f"{says}; {unsure}", "`daruma providers check` asks now.")
    if chosen["provider"] == "offline":
        wanted = chosen["why"] == "the settings say offline"
        fix = "" if wanted else "Start Ollama, or set ANTHROPIC_API_KEY; without a model only computed work is done."
        return Finding("provider", "note", says, fix)
    return Finding("provider", "ok", says)


def _listed(line: Line, chosen: str) -> tuple[Sequence[str], str | None, str | None]:
    """Who is used and cannot be, each with the reason; of the `chosen` where its key is, and what nobody knows yet."""
    listed = line.client.call("providers list")["items"]
    amiss = [f"{each['name']}: {each['reason']}" for each in listed if each["used"] and each["state"] == "error"]
    one: Json = next((each for each in listed if each["name"] == chosen), {})
    return amiss, one.get("key"), one["reason"] if one.get("state") == "pending" else None


def _would_choose(settings: "Settings") -> tuple[Mapping[str, str | None], Sequence[str], str | None]:
    """What a daemon would choose, which keys and clients it would miss, and where the key that it uses is."""
    from darumad.agents.providers import clients_missing, discover, load_credentials  # noqa: PLC0415 - needed with the daemon down only
    from darumad.daemon.configured import provider_config  # noqa: PLC0415 - the same

    config = provider_config(settings)
    keyring = load_credentials(config, dict(os.environ))
    chosen = asyncio.run(discover(config, keyring.meant()))
    used = config.using(chosen.provider, chosen.model).used
    amiss = [f"{name}: {problem.detail}" for name, problem in keyring.refused.items() if name in used]
    amiss += [f"{name}: {said}" for name, said in clients_missing(config, used).items()]
    return (
        {"provider": chosen.provider, "model": chosen.model, "why": chosen.why},
        amiss,
        keyring.origin(chosen.provider),
    )


_UNNEEDED = "nothing needs it yet: it is to hold tools that run programs, and there are none"


def _sandbox() -> Finding:
    """Whether bubblewrap works here. Tools that run programs will be refused without it; none exist."""
    program = shutil.which("bwrap")
    if program is None:
        return Finding("sandbox", "note", f"bubblewrap is not installed; {_UNNEEDED}")
    failure = _failure_of([program, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"])
    if failure is not None:
        return Finding("sandbox", "note", f"{program} does not work here: {failure}; {_UNNEEDED}")
    return Finding("sandbox", "ok", f"{program} works; {_UNNEEDED}")


def _failure_of(command: Sequence[str]) -> str | None:
    """What `command` says when it fails; None when it does not."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TRY_WITHIN, check=False)  # noqa: S603 - a fixed command
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}")


def _systemd() -> Finding:
    if not Path("/run/systemd/system").is_dir():
        return Finding(
            "systemd", "note", "this machine was not started by it: run `daruma serve` by another supervisor"
        )
    service, socket = _unit("darumad.service"), _unit("darumad.socket")
    if service.get("LoadState") != "loaded":
        return Finding(
            "systemd", "note", "no unit darumad.service is installed", "docs/how-to/run-under-systemd.md says how."
        )
    if service["ActiveState"] == "failed":
        fix = "`journalctl -u darumad` says why; then `systemctl reset-failed darumad` and `systemctl start darumad`."
        return Finding("systemd", "bad", f"darumad.service is down: {service['Result']}", fix)
    if service["ActiveState"] == "active" and socket.get("LoadState") == "loaded" and socket["ActiveState"] != "active":
        says = "darumad.socket is down, and darumad.service is up: callers would fail while that is restarted"
        return Finding("systemd", "bad", says, "systemctl restart darumad")
    if socket.get("ActiveState") == "active" and not Path(at := socket["Listen"].removesuffix(" (Stream)")).exists():
        fix = "`systemctl stop darumad.socket darumad.service`, then `systemctl start darumad`."
        return Finding("systemd", "bad", f"darumad.socket is up, and somebody removed its file {at}", fix)
    return Finding("systemd", "ok", f"darumad.service is installed, and {service['ActiveState']}")


def _unit(name: str) -> Mapping[str, str]:
    """What systemd says of the unit; nothing where it does not answer."""
    program = shutil.which("systemctl")
    if program is None:
        return {}
    command = [program, "show", name, "--property=LoadState,ActiveState,Result,Listen"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TRY_WITHIN, check=False)  # noqa: S603 - a fixed command
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _plain(finding: Finding) -> Json:
    return {"name": finding.name, "mark": finding.mark, "says": finding.says, "fix": finding.fix}


_SHOWN: Mapping[str, str] = {"ok": "ok  ", "note": "note", "bad": "BAD "}


def _lines(reply: Json) -> Iterable[str]:
    for each in reply["items"]:
        yield f"{_SHOWN[each['mark']]}  {each['name']:<15}  {each['says']}" + (
            f" -> {each['fix']}" if each["fix"] else ""
        )
