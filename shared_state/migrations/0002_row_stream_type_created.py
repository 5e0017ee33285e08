from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shared_state', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='rowrecord',
            index=models.Index(fields=['stream', 'type', 'created'], name='row_stream_type_created'),
        ),
    ]
