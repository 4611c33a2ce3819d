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
import netbox_proxsync.models.endpoint_fields

# This migration creates tables that every branch of netbox-branching has. By default, netbox-branching would skip it.
fake_on_branch = False


class Migration(migrations.Migration):
    initial = True

    # The last migrations of NetBox 4.7.0, the oldest supported release. It does not have later ones.
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
            name='FormerEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('cluster_identity', models.JSONField(default=dict)),
                ('deleted', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'former endpoint',
                'verbose_name_plural': 'former endpoints',
                'ordering': ('pk',),
            },
        ),
        migrations.CreateModel(
            name='ManagedCustomField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=50, unique=True)),
                ('created', models.BooleanField()),
                ('object_type_added', models.BooleanField()),
                ('choice_set_created', models.BooleanField()),
            ],
            options={
                'verbose_name': 'managed custom field',
                'verbose_name_plural': 'managed custom fields',
                'ordering': ('name',),
            },
        ),
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
                ('fingerprint', models.CharField(blank=True, max_length=2000)),
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
                ('ssh_user', models.CharField(blank=True, max_length=100)),
                (
                    'ssh_port',
                    models.PositiveIntegerField(
                        default=22,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                    ),
                ),
                ('ssh_password', netbox_proxsync.fields.SecretField(blank=True)),
                ('ssh_private_key', netbox_proxsync.fields.SecretField(blank=True)),
                ('ssh_passphrase', netbox_proxsync.fields.SecretField(blank=True)),
                ('ssh_host_keys', models.TextField(blank=True)),
                ('sync_vms', models.BooleanField(default=True)),
                ('sync_containers', models.BooleanField(default=True)),
                ('sync_templates', models.BooleanField(default=False)),
                (
                    'include_guests',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), blank=True, default=list
                    ),
                ),
                (
                    'exclude_guests',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), blank=True, default=list
                    ),
                ),
                ('adopt_by_name', models.BooleanField(default=False)),
                ('sync_nodes', models.BooleanField(default=True)),
                ('create_vlans', models.BooleanField(default=False)),
                ('read_os_info', models.BooleanField(default=False)),
                ('read_host_names', models.BooleanField(default=False)),
                (
                    'ignored_interfaces',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        blank=True,
                        default=netbox_proxsync.models.endpoint_fields.default_ignored_interfaces,
                    ),
                ),
                (
                    'ignored_prefixes',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50), blank=True, default=list
                    ),
                ),
                ('interface_naming', models.CharField(default='proxmox', max_length=30)),
                ('missing_guests', models.CharField(default='retire', max_length=30)),
                ('grace_days', models.PositiveSmallIntegerField(default=30)),
                ('missing_addresses', models.CharField(default='delete', max_length=30)),
                (
                    'missing_address_reads',
                    models.PositiveSmallIntegerField(
                        default=2,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    'address_limit',
                    models.PositiveSmallIntegerField(
                        default=256,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                ('field_policy', models.JSONField(blank=True, default=dict)),
                (
                    'change_limit',
                    models.PositiveSmallIntegerField(
                        default=20, validators=[django.core.validators.MaxValueValidator(100)]
                    ),
                ),
                ('write_policy', models.CharField(default='everything', max_length=30)),
                ('sync_interval', models.PositiveIntegerField(blank=True, null=True)),
                (
                    'quick_interval',
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                    ),
                ),
                (
                    'sync_windows',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), blank=True, default=list, size=None
                    ),
                ),
                ('paused_until', models.DateTimeField(blank=True, null=True)),
                ('object_events', models.CharField(default='always', max_length=30)),
                ('status', models.CharField(default='new', editable=False, max_length=30)),
                ('pve_version', models.CharField(blank=True, editable=False, max_length=50)),
                ('guests_read', models.DateTimeField(blank=True, editable=False, null=True)),
                ('cluster_identity', models.JSONField(blank=True, default=dict, editable=False)),
                ('next_sync', models.DateTimeField(blank=True, editable=False, null=True)),
                ('next_quick', models.DateTimeField(blank=True, editable=False, null=True)),
                ('token_history', models.JSONField(blank=True, default=dict, editable=False)),
                ('cluster_state', models.JSONField(blank=True, default=dict, editable=False)),
                ('acknowledged_faults', models.JSONField(blank=True, default=list, editable=False)),
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
                    'node_device_type',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='dcim.devicetype',
                    ),
                ),
                (
                    'node_role',
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
                    'vlan_group',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='ipam.vlangroup',
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
                'verbose_name': 'Proxmox VE endpoint',
                'verbose_name_plural': 'Proxmox VE endpoints',
                'ordering': ('name',),
                'permissions': [
                    ('sync', 'Test the connection, preview and sync'),
                    ('accept', 'Approve refused runs'),
                ],
            },
            bases=(netbox.models.deletion.DeleteMixin, models.Model),
        ),
        migrations.CreateModel(
            name='MappingRule',
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
                ('weight', models.PositiveSmallIntegerField(default=1000)),
                ('enabled', models.BooleanField(default=True)),
                ('guest_type', models.CharField(blank=True, max_length=30)),
                ('name_pattern', models.CharField(blank=True, max_length=255)),
                ('pattern_type', models.CharField(default='glob', max_length=30)),
                (
                    'guest_tags',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), blank=True, default=list
                    ),
                ),
                ('tag_match', models.CharField(default='any', max_length=30)),
                (
                    'pools',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), blank=True, default=list
                    ),
                ),
                (
                    'nodes',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), blank=True, default=list
                    ),
                ),
                (
                    'vmid_min',
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(100),
                            django.core.validators.MaxValueValidator(999999999),
                        ],
                    ),
                ),
                (
                    'vmid_max',
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(100),
                            django.core.validators.MaxValueValidator(999999999),
                        ],
                    ),
                ),
                ('template', models.BooleanField(blank=True, null=True)),
                ('skip', models.BooleanField(default=False)),
                ('extra_tags', models.ManyToManyField(blank=True, related_name='+', to='extras.tag')),
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
                    'platform',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='dcim.platform',
                    ),
                ),
                (
                    'role',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='dcim.devicerole',
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
                    'vlan_group',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='+',
                        to='ipam.vlangroup',
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
                (
                    'endpoint',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='mapping_rules',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'mapping rule',
                'verbose_name_plural': 'mapping rules',
                'ordering': ('weight', 'name'),
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
                ('error_source', models.JSONField(blank=True, editable=False, null=True)),
                ('refusal', models.TextField(blank=True, editable=False)),
                ('refusal_source', models.JSONField(blank=True, editable=False, null=True)),
                ('units', models.JSONField(blank=True, editable=False, null=True)),
                (
                    'actions',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=30), blank=True, editable=False, null=True
                    ),
                ),
                (
                    'vmids',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(), blank=True, editable=False, null=True
                    ),
                ),
                ('cluster_identity', models.JSONField(blank=True, default=dict, editable=False)),
                ('shared_objects', models.JSONField(blank=True, default=list, editable=False)),
                ('branch_id', models.CharField(blank=True, editable=False, max_length=50)),
                ('branch', models.CharField(blank=True, editable=False, max_length=100)),
                (
                    'applies',
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='applied_by',
                        to='netbox_proxsync.syncrun',
                    ),
                ),
                (
                    'reverts',
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='reverted_by',
                        to='netbox_proxsync.syncrun',
                    ),
                ),
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
                ('unit', models.CharField(db_collation='natural_sort', max_length=100)),
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
                (
                    'binding',
                    models.JSONField(
                        blank=True, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder, null=True
                    ),
                ),
                ('reason', models.TextField(blank=True)),
                ('reason_source', models.JSONField(blank=True, editable=False, null=True)),
                ('message', models.TextField(blank=True)),
                ('message_source', models.JSONField(blank=True, editable=False, null=True)),
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
            name='PlannedBinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('binding_id', models.BigIntegerField()),
                ('values', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True)),
                ('key', models.CharField(blank=True, max_length=200)),
                ('unit', models.CharField(blank=True, max_length=100)),
                ('forget', models.BooleanField(default=False)),
                (
                    'run',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='planned_bindings',
                        to='netbox_proxsync.syncrun',
                    ),
                ),
            ],
            options={
                'ordering': ('pk',),
            },
        ),
        migrations.CreateModel(
            name='FormerBinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=30)),
                ('key', models.CharField(max_length=200)),
                ('unit', models.CharField(max_length=100)),
                ('object_id', models.PositiveBigIntegerField()),
                ('values', models.JSONField(default=dict)),
                ('created_by_sync', models.BooleanField(default=False)),
                ('first_seen', models.DateTimeField()),
                ('missing_since', models.DateTimeField(null=True)),
                ('unmanaged', models.BooleanField(default=False)),
                (
                    'object_type',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contenttypes.contenttype'
                    ),
                ),
                (
                    'former',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='bindings',
                        to='netbox_proxsync.formerendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'former binding',
                'verbose_name_plural': 'former bindings',
                'ordering': ('pk',),
                'indexes': [models.Index(fields=['object_type', 'object_id'], name='netbox_prox_object__7e2281_idx')],
            },
        ),
        migrations.CreateModel(
            name='BranchState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('branch_id', models.CharField(max_length=50)),
                ('guests_read', models.DateTimeField(blank=True, null=True)),
                (
                    'cluster_identity',
                    models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                ('bindings_merged', models.DateTimeField(blank=True, null=True)),
                (
                    'previous_state',
                    models.JSONField(blank=True, encoder=django.core.serializers.json.DjangoJSONEncoder, null=True),
                ),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='branch_states',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'branch state',
                'verbose_name_plural': 'branch states',
                'ordering': ('endpoint_id', 'branch_id'),
                'constraints': [
                    models.UniqueConstraint(fields=('endpoint', 'branch_id'), name='netbox_proxsync_branchstate_unique')
                ],
            },
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
                (
                    'proxmox_values',
                    models.JSONField(
                        blank=True, default=dict, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder
                    ),
                ),
                (
                    'kept_values',
                    models.JSONField(
                        blank=True, default=dict, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder
                    ),
                ),
                ('created_by_sync', models.BooleanField(default=False)),
                ('first_seen', models.DateTimeField(auto_now_add=True)),
                ('missing_since', models.DateTimeField(blank=True, null=True)),
                ('unmanaged', models.BooleanField(default=False)),
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
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=30)),
                ('key', models.CharField(max_length=200)),
                ('unit', models.CharField(max_length=100)),
                ('choice', models.CharField(max_length=20)),
                ('object_id', models.PositiveBigIntegerField(blank=True, null=True)),
                ('name', models.CharField(blank=True, max_length=64)),
                ('created', models.DateTimeField(auto_now_add=True)),
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
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='decisions',
                        to='netbox_proxsync.proxmoxendpoint',
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
                'verbose_name': 'decision',
                'verbose_name_plural': 'decisions',
                'ordering': ('endpoint_id', 'kind', 'key'),
                'indexes': [models.Index(fields=['endpoint', 'unit'], name='netbox_prox_endpoin_f61ff3_idx')],
                'constraints': [
                    models.UniqueConstraint(
                        fields=('endpoint', 'kind', 'key'), name='netbox_proxsync_decision_unique_key'
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(('choice', 'link')),
                        fields=('object_type', 'object_id'),
                        name='netbox_proxsync_decision_unique_link',
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name='ProxmoxGuest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=10)),
                ('vmid', models.PositiveIntegerField()),
                ('name', models.CharField(blank=True, max_length=255)),
                ('node', models.CharField(blank=True, max_length=255)),
                ('status', models.CharField(blank=True, max_length=50)),
                (
                    'tags',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), blank=True, default=list
                    ),
                ),
                ('template', models.BooleanField(default=False)),
                ('state', models.CharField(max_length=20)),
                ('reason', models.TextField(blank=True)),
                ('reason_source', models.JSONField(blank=True, editable=False, null=True)),
                ('ignored', models.BooleanField(default=False)),
                (
                    'candidate_ids',
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveBigIntegerField(), blank=True, default=list, editable=False
                    ),
                ),
                ('seen_until', models.DateTimeField(blank=True, null=True)),
                ('known_until', models.DateTimeField(blank=True, null=True)),
                ('details', models.JSONField(blank=True, default=dict)),
                ('row_fingerprint', models.CharField(blank=True, editable=False, max_length=32)),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='guests',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
                (
                    'virtual_machine',
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name='proxsync_guests',
                        to='virtualization.virtualmachine',
                    ),
                ),
            ],
            options={
                'verbose_name': 'Proxmox VE guest',
                'verbose_name_plural': 'Proxmox VE guests',
                'ordering': ('endpoint_id', 'vmid', 'type'),
                'indexes': [
                    models.Index(fields=['endpoint', 'state'], name='netbox_prox_endpoin_e4fcc3_idx'),
                    models.Index(fields=['state', 'vmid'], name='netbox_prox_state_ddf03a_idx'),
                    models.Index(fields=['vmid'], name='netbox_prox_vmid_86629c_idx'),
                    models.Index(fields=['name'], name='netbox_prox_name_c21d51_idx'),
                    models.Index(fields=['node'], name='netbox_prox_node_e60caa_idx'),
                    models.Index(fields=['status'], name='netbox_prox_status_0cac6e_idx'),
                ],
                'constraints': [
                    models.UniqueConstraint(
                        fields=('endpoint', 'vmid', 'type'), name='netbox_proxsync_proxmoxguest_unique_guest'
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name='SharedObject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('model', models.CharField(max_length=100)),
                ('within', models.CharField(blank=True, max_length=200)),
                ('name', models.CharField(max_length=200)),
                ('object_id', models.PositiveBigIntegerField()),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='shared_objects',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'shared object',
                'verbose_name_plural': 'shared objects',
                'ordering': ('endpoint_id', 'model', 'within', 'name'),
                'indexes': [models.Index(fields=['model', 'name'], name='netbox_prox_model_9a0352_idx')],
                'constraints': [
                    models.UniqueConstraint(
                        fields=('endpoint', 'model', 'within', 'name'), name='netbox_proxsync_sharedobject_unique_value'
                    )
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
            index=models.Index(fields=['run', 'unit', 'position'], name='netbox_prox_run_id_68ff4c_idx'),
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
                violation_error_message='Another enabled endpoint is synchronized with this cluster.',
            ),
        ),
    ]
