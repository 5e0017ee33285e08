"""Where the models of streams live, for `DATABASE_ROUTERS`: needed as soon as that is not `default`."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from shared_state.core import database


class StreamsRouter:
    """Sends the apps that stand beside the streams to `SHARED_STATE["DATABASE"]`; says nothing of others.

    An app belongs to them if its `AppConfig` says `beside_streams = True`: it shares their transactions, or
    its tables refer to theirs. A project's own app may say so too.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """The alias, for models of ours."""
        return database.alias() if _beside_streams(model._meta.app_label) else None

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        """Between ours, yes; a relation that leaves the database is Django's to refuse."""
        ours = [_beside_streams(each._meta.app_label) for each in (one, other)]
        return True if all(ours) else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Our tables are made there and nowhere else."""
        return db == database.alias() if _beside_streams(app_label) else None


def _beside_streams(label: str) -> bool:
    return bool(getattr(apps.app_configs.get(label), "beside_streams", False))
