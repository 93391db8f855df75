"""What may stand beside each fault: anything else there would be said to nobody, and is refused."""

from collections.abc import Mapping, Sequence

_BEGUN = ("after", "frac")

HEEDED: Mapping[str, Sequence[str]] = {
    "http_status": ("code", "retry_after", "headers", "body", "text", "error_code"),
    "body_200_error": ("body", "text"),
    "hang_informational": ("interval",),
    "hang_body": _BEGUN,
    "pings_only": (*_BEGUN, "interval"),
    "drip": ("bytes", "interval"),
    "rst": ("phase", *_BEGUN),
    "fin": ("phase", *_BEGUN),
    "truncate": ("bytes", "frac"),
    "clean_eof": _BEGUN,
    "malformed_json": ("where",),
    "bad_utf8": _BEGUN,
    "blank_lines": _BEGUN,
    "err_event": ("type", *_BEGUN),
    "huge_header": ("bytes",),
    "huge_body": ("bytes",),
    "slow_accept": ("interval",),
    "refusal": ("category",),
    "bad_tool_args": ("mode",),
    "schema_violation": ("mode",),
}
"""By the fault's name; one that is not here heeds nothing."""


def refuse_unheeded(fault: str, said: Mapping[str, object]) -> None:
    """Refuses parameters that mean nothing to the fault.

    Raises:
        ValueError: names them, and those that it heeds.
    """
    heeded = HEEDED.get(fault, ())
    unheeded = [each for each in said if each not in heeded]
    if unheeded:
        raise ValueError(f"`then` has {', '.join(unheeded)}: the fault {fault} heeds {', '.join(heeded) or 'nothing'}")
