"""No model at all, and honest about it: nothing is answered in its place."""

from typing import Never

from darumad.work.model import ModelFailed, ModelRequest

HOW = (
    "No model is configured. Set a key in ANTHROPIC_API_KEY (or `providers.anthropic.key_file`), or start Ollama and"
    " set `provider.use: ollama` with `providers.ollama.model`; then restart the daemon."
)


class Offline:
    """A `Complete` without a model: its `model` is None, and a call says how to configure one."""

    model: None = None
    """There is no model."""

    def __init__(self, why: str = HOW) -> None:
        self._why = why

    def elsewhere(self, kind: str, /) -> None:
        """Nobody: see `work.ports.Complete`."""

    async def __call__(self, request: ModelRequest) -> Never:  # noqa: ARG002 - whatever is asked, nobody is there
        """Refuse.

        Raises:
            ModelFailed: kind `model_not_found`, always.
        """
        raise ModelFailed("model_not_found", self._why)
