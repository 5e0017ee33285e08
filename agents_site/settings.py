"""Settings of the whole project: one file, readable from top to bottom, every switch an environment variable.

Without any environment this is a production configuration on SQLite that refuses to serve until it is given
a SECRET_KEY (see asgi.py). The quickstart command turns on local mode; tests use tests/support/settings.py.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONCE, NONE, SELF

from agents_site import env, local, log, pool

BASE_DIR = Path(__file__).resolve().parent.parent
# A checkout has templates and static files beside the apps; an installed wheel has them inside.
CHECKOUT = (BASE_DIR / "manage.py").is_file()
# Everything that this installation writes: database, secret, locks, collected static files, screenshots.
VAR_DIR = Path(env.text("AGENTS_VAR_DIR", str((BASE_DIR if CHECKOUT else Path.cwd()) / "var")))

# -- Mode ------------------------------------------------------------------------------------------------

DEBUG = env.flag("DEBUG")
# Set by __main__.py for `quickstart`, and for that process alone. Honoured on loopback only: see local.py.
LOCAL_MODE = env.text("AGENTS_LOCAL") == str(os.getpid())
PRODUCTION = not DEBUG and not LOCAL_MODE

SECRET_KEY = env.secret("SECRET_KEY")
if not SECRET_KEY and not PRODUCTION:
    SECRET_KEY = local.secret_key(VAR_DIR / "secret_key")
# Commands that sign nothing (migrate, check) go without; asgi.py refuses to serve.
SECRET_KEY_MISSING = not SECRET_KEY

# -- Who may talk to us ----------------------------------------------------------------------------------

ALLOWED_HOSTS = list(local.LOOPBACK_HOSTS)
if not LOCAL_MODE:
    ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", local.LOOPBACK_HOSTS)
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# Behind a proxy that ends TLS and always sets this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("AGENTS_BEHIND_TLS_PROXY") else None
SECURE_SSL_REDIRECT = env.flag("AGENTS_SSL_REDIRECT")
SECURE_HSTS_SECONDS = env.integer("AGENTS_HSTS_SECONDS", 0)
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Off only to try a production configuration over plain HTTP on one's own machine.
SECURE_COOKIES = env.flag("AGENTS_SECURE_COOKIES", default=PRODUCTION)
SESSION_COOKIE_NAME = "agents_session"
SESSION_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds
CSRF_COOKIE_NAME = "agents_csrf"
CSRF_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SAMESITE = "Lax"

# Scripts and styles come from our own files or carry the page's nonce; nothing inline, nothing remote.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# The largest body that is read into memory, in bytes; a message is far smaller.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

# -- Applications ----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "agents_site",
    "entities",
    "shared_state",
    "daphne",
    "channels",
    "whitenoise.runserver_nostatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
]

# Django's stock middlewares hop to a thread twice per request; ours are the same classes without the hop.
MIDDLEWARE = [
    "agents_site.middleware.SecurityMiddleware",
    "agents_site.middleware.StaticFilesMiddleware",
    "agents_site.middleware.CompressionMiddleware",
    "agents_site.middleware.ContentSecurityPolicyMiddleware",
    "agents_site.middleware.OutageMiddleware",
    "agents_site.middleware.SessionMiddleware",
    "agents_site.middleware.CommonMiddleware",
    "agents_site.middleware.CsrfViewMiddleware",
    "agents_site.middleware.AuthenticationMiddleware",
    "agents_site.middleware.LocalLoginMiddleware",
    "agents_site.middleware.MessageMiddleware",
    "agents_site.middleware.FrameOptionsMiddleware",
]

ROOT_URLCONF = "agents_site.urls"
ASGI_APPLICATION = "agents_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"] if CHECKOUT else [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# -- People ----------------------------------------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "entities:home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Cookies keep flash messages out of the session, and so out of the database, on every request.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# -- Database --------------------------------------------------------------------------------------------

SQLITE_OPTIONS: dict[str, Any] = {
    # A writer waits for the lock, in seconds, instead of failing at once.
    "timeout": 20,
    # Take the write lock when a transaction begins: a reader that turns writer half-way could not wait.
    "transaction_mode": "IMMEDIATE",
    # WAL lets pages read while the writer writes; FULL means that what was answered survives a power cut.
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
        "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-20000"
    ),
}
POSTGRES_OPTIONS: dict[str, Any] = {
    # Under ASGI every request has its own thread: persistent connections would leak one backend per thread.
    "pool": {
        "min_size": 1,
        "max_size": env.integer("AGENTS_DATABASE_POOL", 10, minimum=2),
        # For those who stand behind others. Who waits for a database that is away is told so much earlier.
        "timeout": 20,
        "reconnect_timeout": pool.RECONNECT_SECONDS,
        "reconnect_failed": pool.try_again,
    },
    # A machine that is gone says nothing: seconds until an attempt to connect is given up, and about as many
    # until a connection that hears nothing any more is.
    "connect_timeout": 10,
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}

DATABASE_URL = env.url("DATABASE_URL", ("sqlite", "postgres", "postgresql"))
DATABASES: dict[str, Any] = {
    "default": (
        dict(dj_database_url.parse(DATABASE_URL))
        if DATABASE_URL
        else {"ENGINE": "django.db.backends.sqlite3", "NAME": str(VAR_DIR / "db.sqlite3")}
    )
}
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASES["default"]["OPTIONS"] = {
    **(SQLITE_OPTIONS if ON_SQLITE else POSTGRES_OPTIONS),
    **DATABASES["default"].get("OPTIONS", {}),  # what the address says
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Between processes -----------------------------------------------------------------------------------

REDIS_URL = env.url("REDIS_URL", ("redis", "rediss", "unix"))
CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        # Pub/sub, not the list-based layer: a hint may be lost, a blocked reader may not.
        {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

# -- Static files ----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
# Named as in the wheel, where the apps carry them: `agents/css/base.css` is nobody else's name.
STATICFILES_DIRS = [("agents", BASE_DIR / "static")] if CHECKOUT else []
# With DEBUG, files are served where they lie and as they are at that moment. Else they are collected: named
# by their content, cached for ever, compressed. `make run` collects by itself (see static_files.py).
COLLECTED = not DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "agents_site.static_files.HashedStaticFiles"
            if COLLECTED
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
MEDIA_ROOT = VAR_DIR / "media"
WHITENOISE_USE_FINDERS = not COLLECTED
WHITENOISE_AUTOREFRESH = not COLLECTED
# By a name that does not change with the content, a file is asked for each time, and answered with 304.
WHITENOISE_MAX_AGE = 0
WHITENOISE_ALLOW_ALL_ORIGINS = False

# -- Time and language -----------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# -- Logging ---------------------------------------------------------------------------------------------

log.configure_structlog()
LOGGING = log.logging_config(
    level=env.choice("AGENTS_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    style=env.choice("AGENTS_LOG_FORMAT", "json" if PRODUCTION else "console", ("json", "console")),
)

# -- The two apps; each documents its keys in its conf.py --------------------------------------------------

SHARED_STATE: dict[str, Any] = {}

ANTHROPIC_API_KEY = env.secret("AGENTS_ANTHROPIC_API_KEY") or env.secret("ANTHROPIC_API_KEY")
PROVIDER = env.choice(
    "AGENTS_PROVIDER", "anthropic" if ANTHROPIC_API_KEY else "offline", ("anthropic", "offline")
)
PROVIDER_BACKENDS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "BACKEND": "entities.agent.providers.anthropic.AnthropicProvider",
        "OPTIONS": {
            "api_key": ANTHROPIC_API_KEY,
            "base_url": env.url(
                "AGENTS_ANTHROPIC_BASE_URL",
                ("http", "https"),
                env.url("ANTHROPIC_BASE_URL", ("http", "https")),
            ),
        },
    },
    "offline": {
        "BACKEND": "entities.offline.provider.OfflineProvider",
        "OPTIONS": {"words_per_second": env.number("AGENTS_OFFLINE_WORDS_PER_SECOND", 25)},
    },
}
ENTITIES: dict[str, Any] = {
    "PROVIDERS": {"default": PROVIDER_BACKENDS[PROVIDER]},
    "LEASE_SECONDS": env.number("AGENTS_LEASE_SECONDS", 30, minimum=0.5),
    "WORKER_CONCURRENCY": env.integer("AGENTS_WORKER_CONCURRENCY", 256, minimum=1),
    "WORKER_LOCK_DIR": env.text("AGENTS_WORKER_LOCK_DIR", str(VAR_DIR / "workers")),
}
if model := env.text("AGENTS_MODEL"):
    ENTITIES["MODEL"] = model
# The defaults of these are the app's own; an operator, or a test, may still turn them.
for key in (
    "POLL_SECONDS", "MAX_ATTEMPTS", "RETRY_SECONDS", "DELTAS_PER_SECOND",
    "TOOL_THREADS", "TOOL_TIMEOUT", "HANDLER_TIMEOUT",
    "PRUNE_SECONDS", "KEEP_VERSIONS_SECONDS", "KEEP_WAKES_SECONDS",
):  # fmt: skip
    if env.text(f"AGENTS_{key}"):
        ENTITIES[key] = env.number(f"AGENTS_{key}", 1, minimum=0.01)
