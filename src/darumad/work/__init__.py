"""The domain, pure: what work is, how it may move, and what follows when it ends."""
