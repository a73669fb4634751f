"""Sends JSON by HTTP POST: with a time limit, again after what passes by itself, and without telling secrets in errors."""

from __future__ import annotations

import email.utils
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlframe.errors import ConfigError, MlframeError

__all__ = ["address_of", "check_address", "from_variable", "post"]

AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which another attempt may do better."""
LONGEST = 30.0
"""Seconds that a server may ask to wait for; with more, the next run tells."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST would become a GET without its body."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        """Return nothing, so that the redirect is an error."""


_OPENER = urllib.request.build_opener(_Stay)


def check_address(url: Any, url_env: Any) -> list[str]:
    """Return what is wrong with an address and the name of a variable that holds one: exactly one is needed."""
    if bool(url) == bool(url_env):
        return ["it needs an address: either url, or url_env, the name of an environment variable that holds it"]
    return [f"url is no address of http or https: {url}"] if url and not _is_http(str(url)) else []


def address_of(url: str | None, url_env: str | None, where: str) -> tuple[str, str]:
    """Return an address, and how it is called in texts: an address from a variable is a secret.

    Raises:
        ConfigError: the variable is not set, or holds no address.
    """
    if url:
        return url, urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    held = from_variable(str(url_env), where)
    if not _is_http(held):
        raise ConfigError(
            f"The environment variable {url_env} holds no address of http or https", where=where, hint="set it anew"
        )
    return held, f"the address in {url_env}"


def from_variable(name: str, where: str) -> str:
    """Return what an environment variable holds.

    Raises:
        ConfigError: it is not set.
    """
    held = os.environ.get(name, "").strip()
    if not held:
        raise ConfigError(f"The environment variable {name} is not set", where=where, hint=f"export {name}=…")
    return held


def post(
    url: str,
    called: str,
    payload: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout: float,
    retries: int,
    pause: float = 1.0,
) -> None:
    """Send JSON, and again after what may pass by itself.

    Args:
        url: the address.
        called: how it is called in texts.
        payload: plain JSON values.
        headers: more headers.
        timeout: seconds for one attempt.
        retries: further attempts.
        pause: seconds before the first of them; doubled each time.

    Raises:
        MlframeError: nobody took it.
    """
    body = json.dumps(payload, ensure_ascii=False, default=str).encode()
    heads = {"Content-Type": "application/json", "User-Agent": "mlframe", **headers}
    text = ""
    for attempt in range(retries + 1):
        wait = pause * 2**attempt
        request = urllib.request.Request(url, body, heads, method="POST")
        try:
            with _OPENER.open(request, timeout=timeout) as answer:
                answer.read(1 << 16)
            return
        except urllib.error.HTTPError as error:
            with error:
                text = f"{called} answered {error.code} {error.reason}"
                if error.code not in AGAIN:
                    break
                wait = max(wait, _asked(error.headers.get("Retry-After")))
        except (OSError, ValueError) as error:  # URLError, timeouts, broken answers of http.client
            reason = getattr(error, "reason", error)
            text = f"{called} cannot be reached: {reason}"
        except Exception as error:
            text = f"{called} gave no answer of HTTP: {type(error).__name__}"
        if attempt == retries or wait > LONGEST:
            break
        time.sleep(wait)
    raise MlframeError(text, hint="what could not be told is told the next time")


def _asked(value: str | None) -> float:
    """Return the seconds that `Retry-After` asks for."""
    if not value:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _is_http(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
