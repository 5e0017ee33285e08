from django.db import migrations

# On PostgreSQL every unique key of the events contains their stream, so that the table can be partitioned by it
# (docs/architecture.md, "Partitions"). For Django nothing changes: `id` still names an event, `event_stream_offset`
# is still unique. SQLite knows no partitions.

TABLE = "shared_state_eventrecord"

FORWARDS = f"""
    ALTER TABLE {TABLE}
        DROP CONSTRAINT event_stream_offset,
        DROP CONSTRAINT {TABLE}_pkey,
        ADD CONSTRAINT event_stream_offset PRIMARY KEY (stream_id, "offset");
    CREATE INDEX event_id ON {TABLE} (id);
"""
BACKWARDS = f"""
    DROP INDEX event_id;
    ALTER TABLE {TABLE}
        DROP CONSTRAINT event_stream_offset,
        ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY (id),
        ADD CONSTRAINT event_stream_offset UNIQUE (stream_id, "offset");
"""


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FORWARDS)


def backwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(BACKWARDS)


class Migration(migrations.Migration):

    dependencies = [
        ('shared_state', '0005_retention'),
    ]

    operations = [
        migrations.RunPython(forwards, backwards),
    ]
