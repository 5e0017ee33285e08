"""What every test gets: a database of its own kind, a channel layer, a fixed cast.

The whole suite runs on SQLite with the in-memory layer. `AGENTS_TEST_DATABASE=postgres` and
`AGENTS_TEST_LAYER=redis` run the same tests on the other machinery (`make test` does it for
tests/conformance and tests/races). Each xdist worker has its own database and, if asked for, its own servers.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dj_database_url
import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.db.backends.signals import connection_created

from tests.support import servers

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytest_plugins = ["tests.support.processes", "tests.support.browser"]

# The writer is a thread with a connection of its own: it cannot see inside a test's open transaction.
TRANSACTIONAL_FOLDERS = frozenset({"conformance", "cost", "entities", "races", "shared_state"})
# Talking to models needs no database, and says so where it does.
WITHOUT_DATABASE = frozenset({("entities", "agent"), ("entities", "offline")})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of both apps a database that commits, unless they ask for another kind."""
    for item in items:
        folders = item.path.relative_to(item.config.rootpath).parts[1:3]
        needs = folders[0] in TRANSACTIONAL_FOLDERS and folders not in WITHOUT_DATABASE
        if needs and not item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL, started for the first test that asks."""
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A running Redis, started for the first test that asks."""
    with servers.redis() as url:
        yield url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Fill in the address of the PostgreSQL that this run was asked to use, before Django connects."""
    if django_settings.TEST_DATABASE != "postgres":
        return
    address = dj_database_url.parse(request.getfixturevalue("postgres_url"))
    for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT"):
        # Both hold the same mapping as long as nobody has connected; say it twice rather than rely on it.
        django_settings.DATABASES["default"][key] = address[key]
        connections["default"].settings_dict[key] = address[key]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether to leave the test database to its fate: a PostgreSQL of ours goes away as a whole."""
    return bool(django_settings.TEST_DATABASE == "postgres")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The test database; the threads that use it end before it does."""
    from shared_state.notify import bus
    from shared_state.write import writer

    yield
    writer.stop()
    bus.stop()


@pytest.fixture(autouse=True, scope="session")
def _channel_layer(request: pytest.FixtureRequest) -> None:
    if django_settings.TEST_LAYER == "redis":
        url = request.getfixturevalue("redis_url")
        django_settings.REDIS_URL = url
        django_settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [url]


_opened: list[tuple[threading.Thread, Any]] = []


def _remember(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        _opened.append((threading.current_thread(), connection.connection))


# Not as a decorator: `connect` returns nothing, so the weakly held receiver would be lost with its name.
connection_created.connect(_remember)


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    """Close what threads have left that ended with a test's event loop: asgiref's, one for each loop.

    Nobody else can: they are the frameworks' own. From Python 3.13 on, the garbage collector complains.
    """
    yield
    for thread, raw in _opened[:]:
        if not thread.is_alive():
            raw.close()
            _opened.remove((thread, raw))


def _person(username: str, **fields: Any) -> "User":
    from django.contrib.auth.models import User

    return User.objects.create_user(username, password=username, **fields)


@pytest.fixture
def ada(transactional_db: None) -> "User":
    """Ada owns what the test is about."""
    return _person("ada")


@pytest.fixture
def ben(transactional_db: None) -> "User":
    """Ben was invited: he has what Ada granted him."""
    return _person("ben")


@pytest.fixture
def cleo(transactional_db: None) -> "User":
    """Cleo must see nothing of Ada's."""
    return _person("cleo")


@pytest.fixture
def staff(transactional_db: None) -> "User":
    """A member of staff, who may see and do everything."""
    return _person("staff", is_staff=True, is_superuser=True)
