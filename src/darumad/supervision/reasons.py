"""Why a life ended. OTP's exit reasons, as one value."""

from dataclasses import dataclass
from typing import Final, Literal

ExitKind = Literal["normal", "shutdown", "crash", "start_failed", "killed", "abandoned"]


@dataclass(frozen=True, slots=True)
class ExitReason:
    """The `kind` decides about a restart; `detail` is the exception, or the term of `("shutdown", term)`."""

    kind: ExitKind
    detail: object = None

    @property
    def abnormal(self) -> bool:
        """Whether a transient child comes back after it."""
        return self.kind not in {"normal", "shutdown"}


NORMAL: Final = ExitReason("normal")
SHUTDOWN: Final = ExitReason("shutdown")
KILLED: Final = ExitReason("killed")
ABANDONED: Final = ExitReason("abandoned")


def crash(error: object) -> ExitReason:
    """The exit of a life whose work raised `error`."""
    return ExitReason("crash", error)


def reason_of(said: object) -> ExitReason:
    """What `Actor.exit` was given, as a reason.

    Raises:
        ValueError: it was none of the forms that `exit` takes.
    """
    match said:
        case ExitReason():
            return said
        case "normal":
            return NORMAL
        case "shutdown":
            return SHUTDOWN
        case ("shutdown", term):
            return ExitReason("shutdown", term)
        case BaseException():
            return crash(said)
    raise ValueError(f"not an exit reason: {said!r}")


def text_of(error: object) -> str:
    """An error in one line, `Type: message`, for people and tables."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - what an actor raised speaks for itself, or not at all
        said = "(it has no text)"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
