"""What a production start insists on, and what it ignores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, SECRET_KEY

PRINT_SETTINGS = (
    "import django; django.setup(); from django.conf import settings as s; "
    "print(s.LOCAL_MODE, s.DEBUG, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
    "'Hashed' in s.STORAGES['staticfiles']['BACKEND'])"
)


def run(tmp_path: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    base = {"PATH": os.environ["PATH"], "AGENTS_VAR_DIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**base, "DJANGO_SETTINGS_MODULE": "agents_site.settings", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_refuses_to_serve_without_a_secret_key(tmp_path: Path) -> None:
    for command in (["-c", "import agents_site.asgi"], ["manage.py", "serve", "--port", "0"]):
        done = run(tmp_path, *command)

        assert done.returncode != 0
        assert "SECRET_KEY is not set, so this production start is refused" in done.stderr
        assert "make run" in done.stderr


def test_it_accepts_a_secret_key_and_is_strict(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", PRINT_SETTINGS, SECRET_KEY=SECRET_KEY)

    assert done.stdout.split() == ["False", "False", "True", "True", "True"], done.stderr


def test_it_writes_no_secret_in_production(tmp_path: Path) -> None:
    run(tmp_path, "-c", PRINT_SETTINGS)

    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize("said", ["1", "true", "4242"])
def test_it_ignores_an_inherited_local_mode(tmp_path: Path, said: str) -> None:
    done = run(tmp_path, "-c", PRINT_SETTINGS, SECRET_KEY=SECRET_KEY, AGENTS_LOCAL=said)

    assert done.stdout.split()[0] == "False", done.stderr


def test_it_refuses_a_setting_that_it_cannot_read(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", DATABASE_URL="mysql://me:hunter2@localhost/x")

    assert done.returncode != 0
    assert "DATABASE_URL has the scheme 'mysql'" in done.stderr
    assert "hunter2" not in done.stderr


def test_it_uses_a_pool_on_postgres_and_pub_sub_on_redis(tmp_path: Path) -> None:
    show = (
        "from agents_site import settings as s; "
        "print(s.DATABASES['default']['OPTIONS']['pool']['max_size'], s.CHANNEL_LAYERS['default']['BACKEND'])"
    )

    done = run(
        tmp_path,
        *("-c", show),
        DATABASE_URL="postgresql://me@db.example/agents",
        REDIS_URL="redis://redis.example/0",
    )

    assert done.stdout.split() == ["10", "channels_redis.pubsub.RedisPubSubChannelLayer"], done.stderr
