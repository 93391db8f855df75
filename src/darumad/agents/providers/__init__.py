"""Providers: the only room that knows vendors' clients.

Every model call goes through the broker, under its owner, its limits and the one retry policy; everyone else sees
`work.ports.Complete`. Importing this room imports no client: each is loaded when its first call is made.
"""

from darumad.agents.providers.breaker import Lets, State
from darumad.agents.providers.broker import BUCKETS, Broker
from darumad.agents.providers.choose import Chosen, choose, discover, first_of
from darumad.agents.providers.client import clients_missing
from darumad.agents.providers.config import OFFLINE, SHIPPED, KeySource, ProviderConfig, ProviderSpec, Timeouts
from darumad.agents.providers.credential import Credential, Keyring, load_credentials
from darumad.agents.providers.limiter import Measure
from darumad.agents.providers.offline import Offline
from darumad.agents.providers.prices import Price, upper_bound
from darumad.agents.providers.standing import CircuitState
from darumad.agents.providers.validation import Validations, Validity

__all__ = [
    "BUCKETS",
    "OFFLINE",
    "SHIPPED",
    "Broker",
    "Chosen",
    "CircuitState",
    "Credential",
    "KeySource",
    "Keyring",
    "Lets",
    "Measure",
    "Offline",
    "Price",
    "ProviderConfig",
    "ProviderSpec",
    "State",
    "Timeouts",
    "Validations",
    "Validity",
    "choose",
    "clients_missing",
    "discover",
    "first_of",
    "load_credentials",
    "upper_bound",
]
