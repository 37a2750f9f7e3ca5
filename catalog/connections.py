"""What must be known of connections to the database, whoever uses them."""

from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.backends.signals import connection_created

# Seconds that a transaction may do nothing. A process that froze in the middle of one has locks that others wait for.
IDLE = 90

_OVER_A_LIMIT = "54"  # the class of SQLSTATE: a row too large for its index, and the like


def is_lost(error: BaseException) -> bool:
    """Whether it is the connection that ended, or never was. Some of these psycopg2 calls a mere DatabaseError.

    What is over a limit of the server, psycopg2 calls operational, too; but it is over it the next time as well.
    """
    if (getattr(error.__cause__, "pgcode", None) or "").startswith(_OVER_A_LIMIT):
        return False
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def end_idle_transactions() -> None:
    """Have the server end the connection of whoever leaves a transaction lying, which lets go of its locks."""
    connection_created.connect(_limit_idleness, dispatch_uid="end_idle_transactions")


def _limit_idleness(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE}s'")
