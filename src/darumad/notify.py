"""Telling the service manager how we are, as sd_notify(3) does: one datagram to the socket that it named."""

import socket
from collections.abc import Mapping


class Notifier:
    """Tells systemd; a daemon it did not start tells nobody, and what cannot be delivered is dropped."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + named[1:] if named.startswith("@") else named

    def tell(self, **state: str | int) -> bool:
        """Sends `state`, such as `READY=1, STATUS="working"`; whether it was sent."""
        if not self._address:
            return False
        message = "\n".join(f"{name}={_one_line(value)}" for name, value in state.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)  # noqa: FBT003 - the socket's own signature
                to.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True

    def ready(self, status: str) -> bool:
        """The daemon serves."""
        return self.tell(READY=1, STATUS=status)

    def alive(self) -> bool:
        """The daemon makes progress; said only when that was seen."""
        return self.tell(WATCHDOG=1)

    def stopping(self, status: str, within: float) -> bool:
        """The daemon is on its way down and asks for `within` seconds for it."""
        return self.tell(STOPPING=1, STATUS=status, EXTEND_TIMEOUT_USEC=int(within * 1_000_000))


def _one_line(value: str | int) -> str:
    return " ".join(str(value).split())
