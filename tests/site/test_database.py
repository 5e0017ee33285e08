"""The database that the tests themselves run on."""

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection


@pytest.mark.django_db(transaction=True)
def test_it_runs_on_the_database_that_was_asked_for() -> None:
    User.objects.create_user("eve")

    expected = {"sqlite": "sqlite", "postgres": "postgresql"}[settings.TEST_DATABASE]
    assert connection.vendor == expected


@pytest.mark.django_db(transaction=True)
def test_it_survives_a_power_cut_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite needs to be told")
    with connection.cursor() as cursor:
        modes = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert modes == ["wal", 2]
