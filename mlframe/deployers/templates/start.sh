#!/bin/sh
# Starts the server of {{ reference }}.
set -eu
{% if not store -%}
# A store without a champion, such as a new volume, gets the version that this image was made for. An older volume's
# champion stays: it was promoted there.
if ! python -m mlframe show {{ quoted(name ~ "@champion") }} >/dev/null 2>&1; then
    # Already there when an earlier start was killed between these two.
    python -m mlframe show {{ quoted(reference) }} 2>/dev/null | grep -q {{ quoted(run_id) }} \
        || python -m mlframe import /srv/bundle --name {{ quoted(name) }} --number {{ number }}
    python -m mlframe promote {{ quoted(reference) }} --force --why "the version of this image"
fi
{% endif -%}
# exec: signals reach the server, which answers what it has accepted before it ends.
exec python -m mlframe.serving /srv/serving.json
