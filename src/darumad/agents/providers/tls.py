"""The one TLS context of all providers: loading the certificates takes tens of milliseconds, so it is done once."""

import ssl
from functools import cache


@cache
def tls() -> ssl.SSLContext:
    """Verifies servers as the vendors' clients do by themselves, whatever the environment says. Any loop may use it."""
    import httpx  # noqa: PLC0415 - nobody pays for it before a provider is wanted

    return httpx.create_ssl_context(trust_env=False)
