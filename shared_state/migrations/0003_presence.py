from django.db import migrations, models
from django.db.models import F, Value
from django.db.models.functions import Concat, Substr

# Streams that list an owner's agents were called directories.
OLD, NEW = "directory", "presence"


def rename(apps, schema_editor, old, new):
    streams = apps.get_model("shared_state", "Stream").objects.using(schema_editor.connection.alias)
    path = Concat(Value(f"{new}:"), Substr(F("path"), len(old) + 2))
    streams.filter(kind=old, path__startswith=f"{old}:").update(path=path, kind=new)


def forwards(apps, schema_editor):
    rename(apps, schema_editor, OLD, NEW)


def backwards(apps, schema_editor):
    rename(apps, schema_editor, NEW, OLD)


class Migration(migrations.Migration):

    dependencies = [
        ('shared_state', '0002_row_stream_type_created'),
    ]

    operations = [
        migrations.AlterField(
            model_name='stream',
            name='kind',
            field=models.CharField(
                choices=[('entity', 'Agent'), ('shared', 'Shared state'), ('presence', 'Presence')], max_length=16
            ),
        ),
        migrations.RunPython(forwards, backwards),
    ]
