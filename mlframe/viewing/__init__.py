"""The local web page over the store (`python -m mlframe ui`): read-only, without scripts, made on request."""
