#!/usr/bin/env python
"""Django's command line. Database and broker are started first where a command needs them."""

import os
import sys


def main() -> None:
    """Run the command in `sys.argv`; what a person can put right ends in a sentence, not in a traceback."""
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        import devservers
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed: run `make setup`, then `.venv/bin/python manage.py`.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    try:
        if devservers.needed_by(sys.argv):
            devservers.ensure()
        execute_from_command_line(sys.argv)
    except (devservers.EmbeddedError, ImproperlyConfigured) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
