"""The project's settings with people in one database and streams in another, and a transaction a request."""

from pathlib import Path

from agents_site.settings import *

ATOMIC = {"ATOMIC_REQUESTS": True}
DATABASES = {
    "default": DATABASES["default"] | ATOMIC,
    "streams": DATABASES["default"] | ATOMIC | {"NAME": str(Path(VAR_DIR) / "streams.sqlite3")},
}
DATABASE_ROUTERS = ["shared_state.routers.StreamsRouter"]
SHARED_STATE = {"DATABASE": "streams"}
ALLOWED_HOSTS = ["testserver"]
SECURE_COOKIES = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
