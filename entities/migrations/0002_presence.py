from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('entities', '0001_initial'),
        ('shared_state', '0003_presence'),
    ]

    operations = [
        migrations.RenameField(model_name='entity', old_name='directory', new_name='presence'),
    ]
