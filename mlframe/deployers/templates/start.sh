#!/bin/sh
# Starts the server of {{ reference }}.
set -eu
{% if not store -%}
# A new volume is empty: it gets the version that this image was made for. What is in an older one stays.
if [ ! -e "$MLFRAME_HOME/mlframe.db" ]; then
    python -m mlframe import /srv/bundle
    python -m mlframe promote {{ quoted(name ~ "/" ~ number) }} --force --why "the version of this image"
fi
{% endif -%}
# exec: signals reach the server, which answers what it has accepted before it ends.
exec python -m mlframe.serving /srv/serving.json
