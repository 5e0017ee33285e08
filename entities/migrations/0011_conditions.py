"""Several conditions of an observer on one source, and when the first of a wake's changes happened."""

import hashlib
import json

from django.db import migrations, models


def narrow(apps, schema_editor):
    """Say of each condition what it is narrowed to: as `narrowing_of` did when this was written."""
    subscriptions = apps.get_model('entities', 'Subscription').objects.using(schema_editor.connection.alias)
    found = subscriptions.filter(kind='change')
    for pk, types, operations in found.values_list('pk', 'types', 'operations').iterator():
        every = not operations or set(operations) == {'insert', 'update', 'delete'}
        kept = None if every else sorted(set(operations))
        named = None if types is None else sorted(set(types))
        told = json.dumps([named, kept or []])
        narrowing = '' if named is None and kept is None else hashlib.sha256(told.encode()).hexdigest()
        subscriptions.filter(pk=pk).update(types=named, operations=kept, narrowing=narrowing)


class Migration(migrations.Migration):

    dependencies = [
        ('entities', '0010_wake_interrupted'),
    ]

    operations = [
        migrations.AddField(
            model_name='wake',
            name='changed_at',
            field=models.DateTimeField(blank=True, help_text='When the first of the changes that it reports happened.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='narrowing',
            field=models.CharField(blank=True, default='', help_text='Of types and operations; see `narrowing_of`.', max_length=64),
        ),
        migrations.RemoveConstraint(
            model_name='subscription',
            name='subscription_once',
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.UniqueConstraint(fields=('observer', 'source', 'kind', 'narrowing'), name='subscription_once'),
        ),
        migrations.RunPython(narrow, migrations.RunPython.noop),
    ]
