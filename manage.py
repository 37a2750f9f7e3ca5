#!/usr/bin/env python
"""Django's command line. Where a command needs them, the servers of the checkout are started and migrated first."""

import os
import sys

# What people type on a fresh clone. The server and the workers are started by `make run`, which migrates first.
NEEDING_TABLES = {"changepassword", "demo_data", "ensure_admin", "export_feed", "import_feed", "shell"}


def main() -> None:
    """Run the command in `sys.argv`; what a person can put right ends in a sentence, not in a traceback."""
    try:
        import django
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        import devservers
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed: run `make setup`, then `.venv/bin/python manage.py`.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    try:
        if devservers.needed_by(sys.argv):
            devservers.ensure()
            if sys.argv[1] in NEEDING_TABLES:
                django.setup()
                from config.up_to_date import bring_up_to_date

                bring_up_to_date()
        execute_from_command_line(sys.argv)
    except (devservers.EmbeddedError, ImproperlyConfigured) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
