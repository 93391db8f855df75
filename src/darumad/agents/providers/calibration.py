"""How far guesses at a prompt's tokens are off, learned from what the servers counted. Pure; its holder guards it.

No tokenizer is at hand: none can be fetched, and each model has its own. A guess and one factor a model do.
"""

from darumad.values import Value

_WEIGHT = 0.2
"""What the newest reply counts for; the earlier ones share the rest."""
_LEAST, _MOST = 0.5, 2.0
"""A server that says it read less or more than that per token guessed is not believed any further."""


class Calibration(Value):
    """What a guess is multiplied by."""

    factor: float = 1.0

    def learned(self, guessed: int, read: int) -> "Calibration":
        """After a server counted `read` tokens, cached ones included, where `guessed` were guessed."""
        if guessed <= 0 or read <= 0:
            return self
        seen = min(max(read / guessed, _LEAST), _MOST)
        return Calibration(self.factor + _WEIGHT * (seen - self.factor))
