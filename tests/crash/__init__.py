"""The crash campaign: is it true that nothing accepted is lost and nothing is done twice?

Load comes from other processes over the control socket; the daemon is killed, raised in, and its disk cut off. What
judges it (`history`, `rules`, `checker`) imports nothing of Daruma: it reads the clients' own log, the model server's
log and, with the daemon dead, the database by plain SQL.
"""
