from django.db import migrations, models

# What shows a state was called a view; it is a board.


def rename(apps, schema_editor, old, new):
    types = apps.get_model("entities", "EntityType").objects.using(schema_editor.connection.alias)
    for row in types.all():
        for schema in row.state_schemas.values():
            if old in schema:
                schema[new] = schema.pop(old)
        row.save(update_fields=["state_schemas"])


def forwards(apps, schema_editor):
    rename(apps, schema_editor, "view", "board")


def backwards(apps, schema_editor):
    rename(apps, schema_editor, "board", "view")


class Migration(migrations.Migration):

    dependencies = [
        ('entities', '0002_presence'),
        ('shared_state', '0004_board'),
    ]

    operations = [
        migrations.RenameField(model_name='entitytype', old_name='views', new_name='boards'),
        migrations.AlterField(
            model_name='entitytype',
            name='boards',
            field=models.JSONField(blank=True, default=list, help_text='How to show the state.'),
        ),
        migrations.RunPython(forwards, backwards),
    ]
