"""Local mode: `make run` signs a browser on this machine in as its first user, without a password.

The rule is one pure function used by pages and by websockets alike. All of it must hold: the process was
started by the quickstart command, the peer is a loopback address, the Host header is a loopback name, and
nothing in the headers says that a proxy stands in between. The Host check defeats DNS rebinding (a foreign
name that resolves to 127.0.0.1); the proxy check defeats a reverse proxy on this machine that would
otherwise make the whole internet look local.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.utils import get_random_secret_key

if TYPE_CHECKING:
    # settings.py imports this module, before models may be imported.
    from django.contrib.auth.models import User

LOOPBACK_HOSTS: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
PROXY_HEADERS = frozenset({b"forwarded", b"via", b"x-real-ip"})


def is_loopback(address: str) -> bool:
    """Whether an IP address (not a name) is this machine's loopback; IPv4 inside IPv6 counts."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def host_is_loopback(host: str) -> bool:
    """Whether a Host header, with or without a port, names loopback."""
    name = host.strip().lower()
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    return name in LOOPBACK_HOSTS


def allowed(scope: Mapping[str, Any], *, local_mode: bool) -> bool:
    """Whether this connection (an ASGI scope, http or websocket) may be signed in without a password."""
    if not local_mode:
        return False
    client = scope.get("client")
    if not client or not is_loopback(str(client[0])):
        return False
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    hosts = []
    for raw_name, value in headers:
        name = raw_name.lower()
        if name in PROXY_HEADERS or name.startswith(b"x-forwarded-"):
            return False
        if name == b"host":
            hosts.append(value.decode("latin1"))
    return len(hosts) == 1 and host_is_loopback(hosts[0])


def connection_allowed(scope: Mapping[str, Any]) -> bool:
    """`allowed` for the running process: whether it was started in local mode is its setting."""
    return allowed(scope, local_mode=settings.LOCAL_MODE)


def first_user() -> "User | None":
    """The user that local mode signs in: the oldest active one. One query; call it from sync code."""
    return get_user_model()._default_manager.filter(is_active=True).order_by("pk").first()


def secret_key(path: Path) -> str:
    """The secret of local mode, made at the first start and readable by this user only (mode 0600).

    It outlives restarts so that sessions and CSRF tokens do too.
    """
    try:
        return path.read_text(encoding="ascii").strip() or _write_secret(path)
    except FileNotFoundError:
        return _write_secret(path)


def _write_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = get_random_secret_key()
    # The mode is set before the secret is in the file: there is no moment at which others could read it.
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(key + "\n", encoding="ascii")
    return key
