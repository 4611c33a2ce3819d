"""
Removal of what NetBox stores about the plugin in its own tables. Without the plugin, pages with these rows would fail.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from core.choices import JobStatusChoices
from core.models import Job, ObjectChange, ObjectType
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models
from django.db.models import Q, QuerySet
from extras.models import (
    Bookmark,
    CachedValue,
    CustomLink,
    Dashboard,
    EventRule,
    ExportTemplate,
    Notification,
    SavedFilter,
    Subscription,
    TaggedItem,
)

__all__ = ('remove_content_types', 'remove_references')

APP = 'netbox_proxsync'
EVENT_TYPES = 'proxsync_'
# The name of the jobs that belong to no object.
SCHEDULE = 'Proxmox VE sync schedule'
# Models whose objects are useless without an object type. Tags, permissions, custom fields and others only lose the
# assignment.
FOR_OBJECT_TYPES = (CustomLink, EventRule, ExportTemplate, SavedFilter)
# Models with possibly very many rows, to which no other rows refer.
DELETED_UNREAD = (Bookmark, CachedValue, Job, Notification, ObjectChange, Subscription, TaggedItem)


def remove_references(using: str = 'default', dry_run: bool = False) -> Counter[str]:
    """
    Delete what NetBox stores about the plugin's objects: jobs, journal entries, change log, notifications,
    subscriptions, bookmarks, tag assignments, the search index, and rows of other plugins. The NetBox objects that were
    synced remain, with their change log.

    Args:
        dry_run: Only count.

    Returns:
        The number of rows by the plural name of their model.
    """
    found: Counter[str] = Counter()
    for rows in references(using):
        number = rows.count()
        if number:
            found[str(rows.model._meta.verbose_name_plural)] += number
            if not dry_run:
                delete(rows, using)
    found += remove_from_event_rules(using, dry_run)
    found += remove_from_dashboards(using, dry_run)
    return found


def remove_content_types(using: str = 'default') -> None:
    """Delete the content types, after the tables: Django creates them again for each app whose tables it migrates."""
    # Delete from one table after the other, because Django's `delete()` queries tables that do not exist any more.
    types = list(ContentType.objects.using(using).filter(app_label=APP).values_list('pk', flat=True))
    permissions = Permission.objects.using(using).filter(content_type__in=types).order_by()
    for relation in Permission._meta.related_objects:
        if isinstance(relation, models.ManyToManyRel) and relation.through is not None:
            granted = relation.through._base_manager.using(using)
            granted.filter(permission__in=list(permissions.values_list('pk', flat=True)))._raw_delete(using)
    permissions._raw_delete(using)
    ObjectType._base_manager.using(using).filter(pk__in=types)._raw_delete(using)
    ContentType._base_manager.using(using).filter(pk__in=types)._raw_delete(using)
    ContentType.objects.clear_cache()


def references(using: str) -> Iterator[QuerySet[Any]]:
    types = list(ContentType.objects.using(using).filter(app_label=APP).values_list('pk', flat=True))
    for model in FOR_OBJECT_TYPES:
        assigned = model.object_types.through._base_manager.using(using)
        ours = Q(**{f'{next(type_fields(assigned.model)).name}__in': types})
        owner = model._meta.model_name
        rows = model._base_manager.using(using).filter(pk__in=assigned.filter(ours).values(owner))
        yield rows.exclude(pk__in=assigned.exclude(ours).values(owner))
    yield Job.objects.using(using).filter(Q(name=SCHEDULE, object_type=None) | Q(object_type__in=types))
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label in (APP, 'auth') or model._meta.proxy or not model._meta.managed or model is Job:
            continue
        if names := [field.name for field in type_fields(model)]:
            condition = Q()
            for name in names:
                condition |= Q(**{f'{name}__in': types})
            yield model._base_manager.using(using).filter(condition)


def type_fields(model: type[models.Model]) -> Iterator['models.ForeignKey[Any, Any]']:
    """The foreign keys of a model to content types."""
    for field in model._meta.concrete_fields:
        if not isinstance(field, models.ForeignKey) or field.primary_key:
            continue
        if issubclass(field.related_model, ContentType):
            yield field


def delete(rows: QuerySet[Any], using: str) -> None:
    model = rows.model
    if model is Job:
        # This also removes the task from the queue; a worker could not run it.
        for job in rows.exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES):
            job.delete()
        run = apps.get_model(APP, 'SyncRun')
        if run._meta.db_table in connections[using].introspection.table_names():
            run._base_manager.using(using).exclude(job=None).update(job=None)
    if model in DELETED_UNREAD or model._meta.auto_created:
        rows.order_by()._raw_delete(using)
    else:
        model._base_manager.using(using).filter(pk__in=list(rows.values_list('pk', flat=True))).delete()


def remove_from_event_rules(using: str, dry_run: bool) -> Counter[str]:
    """Remove the events of the plugin from event rules for other objects."""
    changed: Counter[str] = Counter()
    for rule in EventRule.objects.using(using).all():
        remaining = [name for name in rule.event_types if not name.startswith(EVENT_TYPES)]
        if remaining == rule.event_types:
            continue
        changed[str(EventRule._meta.verbose_name_plural)] += 1
        if dry_run:
            continue
        if remaining:
            EventRule.objects.using(using).filter(pk=rule.pk).update(event_types=remaining)
        else:
            rule.delete()
    return changed


def remove_from_dashboards(using: str, dry_run: bool) -> Counter[str]:
    """Remove the widgets of the plugin; unknown widgets cause an error on the home page."""
    changed: Counter[str] = Counter()
    for dashboard in Dashboard.objects.using(using).all():
        config: dict[str, Any] = dashboard.config or {}
        ours = {key for key, widget in config.items() if str(widget.get('class', '')).startswith(f'{APP}.')}
        if not ours:
            continue
        changed['dashboard widgets'] += len(ours)
        if not dry_run:
            dashboard.config = {key: widget for key, widget in config.items() if key not in ours}
            dashboard.layout = [item for item in dashboard.layout or [] if item.get('id') not in ours]
            dashboard.save(using=using)
    return changed
