import uuid

import django.contrib.postgres.fields
import django.core.serializers.json
import django.core.validators
import django.db.models.deletion
import netbox.models.deletion
import taggit.managers
import utilities.json
from django.conf import settings
from django.db import migrations, models

import netbox_proxsync.fields

# Makes a table that every branch of netbox-branching has. Left to itself, that looks at other operations only.
fake_on_branch = False


class Migration(migrations.Migration):
    initial = True

    # The last migrations of NetBox 4.7.0: later ones must not be asked for.
    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('core', '0026_populate_job_execution_time'),
        ('dcim', '0250_cooling_infrastructure'),
        ('extras', '0144_customfield_status'),
        ('ipam', '0097_merge_ipaddress_host_index_and_multi_protocol_services'),
        ('tenancy', '0026_consolidate_unique_constraints'),
        ('users', '0016_default_ordering_indexes'),
        ('virtualization', '0060_consolidate_unique_constraints'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProxmoxEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True, null=True)),
                ('last_updated', models.DateTimeField(auto_now=True, null=True)),
                (
                    'custom_field_data',
                    models.JSONField(blank=True, default=dict, encoder=utilities.json.CustomFieldJSONEncoder),
                ),
                ('description', models.CharField(blank=True, max_length=200)),
                ('comments', models.TextField(blank=True)),
                ('name', models.CharField(max_length=100, unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('hosts', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=255))),
                ('token_id', models.CharField(max_length=200)),
                ('token_secret', netbox_proxsync.fields.SecretField()),
                ('tls_mode', models.CharField(default='system', max_length=30)),
                ('ca_certificate', models.TextField(blank=True)),
                ('fingerprint', models.CharField(blank=True, max_length=255)),
                (
                    'timeout',
                    models.PositiveSmallIntegerField(
                        default=30,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(600),
                        ],
                    ),
                ),
                (
                    'concurrency',
                    models.PositiveSmallIntegerField(
                        default=8,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(64),
                        ],
                    ),
                ),
                ('sync_vms', models.BooleanField(default=True)),
                ('sync_containers', models.BooleanField(default=True)),
                ('sync_templates', models.BooleanField(default=False)),
                ('interface_naming', models.CharField(default='proxmox', max_length=30)),
                ('missing_guests', models.CharField(default='retire', max_length=30)),
                ('grace_days', models.PositiveSmallIntegerField(default=30)),
                (
                    'change_limit',
                    models.PositiveSmallIntegerField(
                        default=20, validators=[django.core.validators.MaxValueValidator(100)]
                    ),
                ),
                ('status', models.CharField(default='new', editable=False, max_length=30)),
                ('pve_version', models.CharField(blank=True, editable=False, max_length=50)),
                (
                    'cluster',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='proxsync_endpoints',
                        to='virtualization.cluster',
                    ),
                ),
                (
                    'cluster_group',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='virtualization.clustergroup',
                    ),
                ),
                (
                    'cluster_type',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='virtualization.clustertype',
                    ),
                ),
                (
                    'guest_role',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='dcim.devicerole',
                    ),
                ),
                (
                    'owner',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='users.owner',
                    ),
                ),
                (
                    'site',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='dcim.site',
                    ),
                ),
                ('tags', taggit.managers.TaggableManager(through='extras.TaggedItem', to='extras.Tag')),
                (
                    'tenant',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='tenancy.tenant',
                    ),
                ),
                (
                    'vrf',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='ipam.vrf',
                    ),
                ),
            ],
            options={
                'verbose_name': 'Proxmox endpoint',
                'verbose_name_plural': 'Proxmox endpoints',
                'ordering': ('name',),
                'permissions': [('sync', 'Test the connection, preview and sync')],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='SyncRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('mode', models.CharField(max_length=30)),
                ('status', models.CharField(default='queued', max_length=30)),
                ('request_id', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('started', models.DateTimeField(blank=True, null=True)),
                ('completed', models.DateTimeField(blank=True, null=True)),
                ('phase', models.CharField(blank=True, max_length=100)),
                ('timings', models.JSONField(blank=True, default=dict)),
                ('counts', models.JSONField(blank=True, default=dict)),
                ('calls', models.PositiveIntegerField(default=0)),
                ('guests', models.PositiveIntegerField(blank=True, null=True)),
                ('messages', models.JSONField(blank=True, default=list)),
                ('error', models.TextField(blank=True)),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='runs',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
                (
                    'job',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to='core.job',
                    ),
                ),
                (
                    'user',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='+',
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                'verbose_name': 'sync run',
                'verbose_name_plural': 'sync runs',
                'ordering': ('-created', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='SyncChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('unit', models.CharField(max_length=100)),
                ('kind', models.CharField(max_length=30)),
                ('key', models.CharField(max_length=200)),
                ('action', models.CharField(max_length=30)),
                ('outcome', models.CharField(default='planned', max_length=30)),
                ('object_id', models.PositiveBigIntegerField(blank=True, null=True)),
                ('label', models.CharField(blank=True, max_length=200)),
                (
                    'fields',
                    models.JSONField(blank=True, default=list, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                ('reason', models.TextField(blank=True)),
                ('message', models.TextField(blank=True)),
                (
                    'object_type',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='+',
                        to='contenttypes.contenttype',
                    ),
                ),
                (
                    'run',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='changes',
                        to='netbox_proxsync.syncrun',
                    ),
                ),
            ],
            options={
                'verbose_name': 'sync change',
                'verbose_name_plural': 'sync changes',
                'ordering': ('-run_id', 'position'),
            },
        ),
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='last_run',
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='+',
                to='netbox_proxsync.syncrun',
            ),
        ),
        migrations.CreateModel(
            name='Binding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=30)),
                ('key', models.CharField(max_length=200)),
                ('unit', models.CharField(max_length=100)),
                ('object_id', models.PositiveBigIntegerField()),
                (
                    'values',
                    models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                ('created_by_sync', models.BooleanField(default=False)),
                ('first_seen', models.DateTimeField(auto_now_add=True)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                (
                    'object_type',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contenttypes.contenttype'
                    ),
                ),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='bindings',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'binding',
                'verbose_name_plural': 'bindings',
                'ordering': ('endpoint_id', 'kind', 'key'),
                'indexes': [
                    models.Index(fields=['endpoint', 'unit'], name='netbox_prox_endpoin_db8fb3_idx'),
                    models.Index(
                        condition=models.Q(('missing_since__isnull', False)),
                        fields=['missing_since'],
                        name='netbox_proxsync_binding_gone',
                    ),
                ],
                'constraints': [
                    models.UniqueConstraint(
                        fields=('endpoint', 'kind', 'key'), name='netbox_proxsync_binding_unique_key'
                    ),
                    models.UniqueConstraint(
                        fields=('object_type', 'object_id'), name='netbox_proxsync_binding_unique_object'
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='syncrun',
            index=models.Index(fields=['-created'], name='netbox_prox_created_b1833f_idx'),
        ),
        migrations.AddIndex(
            model_name='syncrun',
            index=models.Index(fields=['endpoint', '-created'], name='netbox_prox_endpoin_32a46b_idx'),
        ),
        migrations.AddIndex(
            model_name='syncrun',
            index=models.Index(fields=['request_id'], name='netbox_prox_request_dc3466_idx'),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['run', 'kind', 'position'], name='netbox_prox_run_id_677f15_idx'),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['run', 'action', 'position'], name='netbox_prox_run_id_d2d250_idx'),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['run', 'outcome', 'position'], name='netbox_prox_run_id_42bb93_idx'),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['run', 'unit'], name='netbox_prox_run_id_a035f6_idx'),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['object_type', 'object_id'], name='netbox_prox_object__00de6a_idx'),
        ),
        migrations.AddConstraint(
            model_name='syncchange',
            constraint=models.UniqueConstraint(
                fields=('run', 'position'), name='netbox_proxsync_syncchange_unique_position'
            ),
        ),
        migrations.AddConstraint(
            model_name='proxmoxendpoint',
            constraint=models.UniqueConstraint(
                condition=models.Q(('enabled', True)),
                fields=('cluster',),
                name='netbox_proxsync_proxmoxendpoint_unique_enabled_cluster',
                violation_error_message='Another enabled endpoint is synced with this cluster.',
            ),
        ),
    ]
