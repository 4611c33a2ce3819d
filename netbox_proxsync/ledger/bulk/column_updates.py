"""Updates columns of many rows with one statement."""

from collections.abc import Collection, Sequence

from django.db import connections, models, router

__all__ = ('update_columns',)


def update_columns(instances: Collection[models.Model], names: Sequence[str]) -> None:
    """
    Write fields of objects, which all exist, as `QuerySet.bulk_update` does. That builds an expression for each value,
    which takes longer than the statement itself.

    Args:
        instances: Objects of one model.
        names: Fields of it that are columns of its table.
    """
    model = type(next(iter(instances)))
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    key, fields = model._meta.pk, [model._meta.get_field(name) for name in names]
    arrays = ', '.join(f'%s::{field.cast_db_type(connection)}[]' for field in (key, *fields))
    columns = ', '.join(quote(field.column) for field in (key, *fields))
    assignments = ', '.join(f'{quote(field.column)} = new.{quote(field.column)}' for field in fields)
    table = quote(model._meta.db_table)
    statement = (
        f'UPDATE {table} SET {assignments} FROM UNNEST({arrays}) AS new ({columns}) '
        f'WHERE {table}.{quote(key.column)} = new.{quote(key.column)}'
    )
    values = [
        [field.get_db_prep_save(getattr(instance, field.attname), connection) for instance in instances]
        for field in (key, *fields)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
