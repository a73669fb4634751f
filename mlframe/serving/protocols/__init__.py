"""The forms in which a server is asked: each is a pair of pure functions, `read` and `write`."""
