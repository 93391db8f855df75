"""The one TLS context of all providers: loading the certificates takes tens of milliseconds, so it is done once."""

import ssl
from functools import cache

import certifi


@cache
def tls() -> ssl.SSLContext:
    """Verifies servers as the vendors' clients do by themselves, whatever the environment says. Any loop may use it."""
    return ssl.create_default_context(cafile=certifi.where())
