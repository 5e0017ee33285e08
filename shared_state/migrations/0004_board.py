from django.db import migrations

# How a collection is drawn was called its view; it is its board.


def rename(apps, schema_editor, old, new):
    streams = apps.get_model("shared_state", "Stream").objects.using(schema_editor.connection.alias)
    for stream in streams.exclude(schema={}).only("schema").iterator():
        collections = [each for each in stream.schema.values() if isinstance(each, dict) and old in each]
        for collection in collections:
            collection[new] = collection.pop(old)
        if collections:
            stream.save(update_fields=["schema"])


def forwards(apps, schema_editor):
    rename(apps, schema_editor, "view", "board")


def backwards(apps, schema_editor):
    rename(apps, schema_editor, "board", "view")


class Migration(migrations.Migration):

    dependencies = [
        ('shared_state', '0003_presence'),
    ]

    operations = [
        migrations.RunPython(forwards, backwards),
    ]
