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
    # 'id', and the concrete fields in the order of the names.
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [by_name['id'], *(by_name[name] for name in names)]
    columns = [quote(str(field.column)) for field in fields]
    arrays = ', '.join(f'%s::{field.cast_db_type(connection)}[]' for field in fields)
    assignments = ', '.join(f'{column} = new.{column}' for column in columns[1:])
    table, key = quote(model._meta.db_table), columns[0]
    statement = (
        f'UPDATE {table} SET {assignments} FROM UNNEST({arrays}) AS new ({", ".join(columns)}) '
        f'WHERE {table}.{key} = new.{key}'
    )
    values = [
        [field.get_db_prep_save(getattr(instance, field.attname), connection) for instance in instances]
        for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
