"""Daruma: a daemon that keeps LLM agents working unattended.

Rooms are imported by name; this file stays empty of them.
"""

__version__ = "0.1.0"
