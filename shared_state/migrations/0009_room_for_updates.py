from django.db import migrations

ROOM = {"shared_state_stream": 70, "shared_state_rowrecord": 85}
"""By table, how full PostgreSQL fills a page: what is left is for new versions of its rows.

A row whose new version finds room in its page, and whose indexed columns stay as they are, needs no new entry
in any index ("heap-only tuple"). Streams change with each append, rows with each change.
"""


def make_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, percent in ROOM.items():
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


def fill(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in ROOM:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):

    dependencies = [("shared_state", "0008_declared_order")]

    operations = [migrations.RunPython(make_room, fill)]
