"""What must be known of connections to the database, whoever uses them."""

from django.db import DatabaseError, InterfaceError, OperationalError


def is_lost(error: BaseException) -> bool:
    """Whether it is the connection that ended, or never was. Some of these psycopg2 calls a mere DatabaseError."""
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError
