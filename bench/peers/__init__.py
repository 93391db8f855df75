"""Durable no-op items in the neighbouring frameworks, each as its own manual says, on this machine and in this run.

They run in a virtual environment of their own (`make bench-peers`), so nothing here imports anything of Daruma.
"""
