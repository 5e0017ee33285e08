"""The project's settings, arranged for tests.

The environment of the person who runs the tests must not matter, so what the settings read is fixed here
before they are read. Two variables choose the machinery, so that one suite runs on all of it:

- AGENTS_TEST_DATABASE: `sqlite` (default, a file) or `postgres` (a real server out of a wheel)
- AGENTS_TEST_LAYER: `memory` (default) or `redis` (a real server out of a wheel)

Both servers start when the first test needs them, so their addresses are filled in by fixtures (conftest.py).
"""

import os
import tempfile
from pathlib import Path

for name in list(os.environ):
    # A key in the developer's shell must not turn a test into a call to a paid service.
    if name.startswith(("ANTHROPIC_", "AGENTS_")) and not name.startswith("AGENTS_TEST_"):
        del os.environ[name]
for name in (
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "REDIS_URL",
    "DATABASE_URL",
    "SECRET_KEY_FILE",
):
    os.environ.pop(name, None)
os.environ["SECRET_KEY"] = "not-a-secret-but-long-enough-for-the-tests-of-this-project"
os.environ["AGENTS_SECURE_COOKIES"] = "0"
os.environ["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "0"
os.environ["AGENTS_LOG_LEVEL"] = "WARNING"
os.environ["AGENTS_VAR_DIR"] = tempfile.mkdtemp(prefix="agents-test-")

from agents_site import env

TEST_DATABASE = env.choice("AGENTS_TEST_DATABASE", "sqlite", ("sqlite", "postgres"))
TEST_LAYER = env.choice("AGENTS_TEST_LAYER", "memory", ("memory", "redis"))
if TEST_DATABASE == "postgres":
    # Only the engine counts here; the address comes from the `postgres_url` fixture.
    os.environ["DATABASE_URL"] = "postgresql://nobody@localhost/agents"
if TEST_LAYER == "redis":
    os.environ["REDIS_URL"] = "redis://localhost/0"

from agents_site.settings import *

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1", "[::1]"]
# Hashing a password properly takes a tenth of a second, in every test that makes a user.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# The manifest would need a collectstatic run first.
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True

TEST_FILES = Path(os.environ["AGENTS_VAR_DIR"])
DATABASES["default"]["TEST"] = {"NAME": str(TEST_FILES / "test.sqlite3")} if ON_SQLITE else {}
