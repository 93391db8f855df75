"""Agents: the minds, async and strangers to threads. They see the ports of `darumad.work` and nothing of the rooms beside them."""
