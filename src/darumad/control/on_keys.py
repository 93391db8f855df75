"""What is asked about keys: whether the providers take them, and to keep them, sealed, in the journal.

A value comes in once and is sealed before anything else is done with it; no reply, audit row or error holds one.
"""

from collections.abc import Mapping

from darumad.control.daemon import Vault
from darumad.control.desk import Ask, Desk
from darumad.control.replies import ProvidersView, ProviderView, SecretChange, SecretsRotated, SecretsView, SecretView
from darumad.control.wire import Nothing, ProviderRequest, SecretRequest, SecretSetRequest
from darumad.errors import Problem, Refused, unknown_provider
from darumad.journal.requests import Note, Setting
from darumad.redaction import redact
from darumad.vault import LONGEST, key_of, wrong_with

_ROW = "secret/"
"""How the keys of the journal's rows begin."""


async def list_providers(desk: Desk, ask: Ask, request: Nothing) -> ProvidersView:  # noqa: ARG001 - an operation's signature
    """Every provider, how it was found, and where its key came from."""
    return ProvidersView(items=tuple(ProviderView(**each) for each in desk.daemon.providers.shown()))


async def check_provider(desk: Desk, ask: Ask, request: ProviderRequest) -> ProviderView:
    """Reads the keys anew, and asks one provider now whether it takes its key and has its model.

    One that does is called again, whatever calls it has refused, and what is parked for that goes on.

    Raises:
        Refused: `unknown_provider`.
    """
    _known(desk, request.name)
    await desk.read(desk.daemon.keys.refresh)
    if await desk.daemon.providers.check(request.name):
        await desk.read(desk.daemon.keys.mended, (request.name,))
    await desk.commits.commit(Note(facts=(), audit=ask.audit(request.name)))
    return _known(desk, request.name)


async def list_secrets(desk: Desk, ask: Ask, request: Nothing) -> SecretsView:  # noqa: ARG001
    """The names of the secrets that are kept, and which of them cannot be opened."""
    kept = sorted((await _kept(desk)).items())
    return SecretsView(items=await desk.read(lambda: tuple(_seen(desk.daemon.keys.vault, *each) for each in kept)))


async def set_secret(desk: Desk, ask: Ask, request: SecretSetRequest) -> SecretChange:
    """Keeps a secret; a provider whose key it is uses it from the next call on.

    Raises:
        Refused: no request could carry it.
    """
    value = request.value.get_secret_value().strip()
    if wrong := wrong_with(value):
        meant = Problem("/value", f"must be the key alone, on one line of at most {LONGEST} printable ASCII characters")
        raise Refused(f"the secret {request.name} is not kept: it {wrong}", problems=[meant])
    redact.conceal(value)
    async with desk.sealing:
        sealed = await desk.read(desk.daemon.keys.vault.seal, value)
        return await _keep(desk, ask, request.name, sealed, "set")


async def remove_secret(desk: Desk, ask: Ask, request: SecretRequest) -> SecretChange:
    """Forgets a secret.

    Raises:
        Refused: `unknown_secret`.
    """
    async with desk.sealing:
        if request.name not in await _kept(desk):
            raise Refused(f"no secret is called {request.name}", code="unknown_secret")
        return await _keep(desk, ask, request.name, "", "removed")


async def rotate_secrets(desk: Desk, ask: Ask, request: Nothing) -> SecretsRotated:  # noqa: ARG001
    """Seals every secret with a new key and forgets the old ones. Broken off in between, both open what they sealed.

    Raises:
        Refused: `bad_vault`: a secret cannot be opened, or the key cannot be changed; neither is.
    """
    vault = desk.daemon.keys.vault
    async with desk.sealing:
        kept = await _kept(desk)
        opened = await desk.read(_opened, vault, kept)
        await desk.read(vault.renew, {key_of(sealed) for sealed in kept.values()})
        anew = {f"{_ROW}{name}": await desk.read(vault.seal, secret) for name, secret in opened.items()}
        await desk.commits.commit(Setting(values=anew, audits=tuple(map(ask.audit, opened))))
        await desk.read(vault.drop_old)
        return SecretsRotated(secrets=len(kept), sealed_with=await desk.read(lambda: vault.newest))


def _seen(vault: Vault, name: str, sealed: str) -> SecretView:
    unopened: str | None = None
    try:
        vault.open(sealed)
    except Refused as refused:
        unopened = refused.message
    return SecretView(name=name, sealed_with=key_of(sealed), unopened=unopened)


def _opened(vault: Vault, kept: Mapping[str, str]) -> Mapping[str, str]:
    opened = {}
    for name, sealed in kept.items():
        try:
            opened[name] = vault.open(sealed)
        except Refused as refused:
            raise Refused(f"the secret {name} cannot be opened: {refused.message}", code=refused.code) from None
    return opened


async def _keep(desk: Desk, ask: Ask, name: str, sealed: str, done: str) -> SecretChange:
    await desk.commits.commit(Setting(values={f"{_ROW}{name}": sealed}, audits=(ask.audit(name),)))
    changed = await desk.read(desk.daemon.keys.refresh)
    return SecretChange(name=name, done=done, providers=tuple(changed))


async def _kept(desk: Desk) -> dict[str, str]:
    rows = await desk.read(desk.daemon.reader.settings, _ROW)
    return {key.removeprefix(_ROW): sealed for key, sealed in rows.items() if sealed}


def _known(desk: Desk, name: str) -> ProviderView:
    known = {each["name"]: each for each in desk.daemon.providers.shown()}
    if name not in known:
        raise unknown_provider(name, known)
    return ProviderView(**known[name])
