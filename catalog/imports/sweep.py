"""Find work that nobody does."""

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from catalog.imports.confirm import go_on
from catalog.imports.work.attempts import fence_the_silent, forget_ended, is_anyone_working, working_and_lost
from catalog.imports.work.queue import CHANGING, TASKS, enqueue
from catalog.models import Attempt, ImportRun, Status

# Long enough for a message to arrive and be taken up; a second one for the same work does nothing.
WAITING_TIME = timedelta(minutes=2)


def sweep() -> list[ImportRun]:
    """Enqueue each run again that waits for a worker while none has claimed it: its message or its worker was lost.

    The database knows whether a run is claimed, not a clock: the claim ends with the worker's connection. The
    connection of a worker that was silent for too long is ended first. A plan that needs no person goes on here too,
    when its worker was lost right after making it.
    """
    fence_the_silent()
    forget_ended()
    for run in ImportRun.objects.filter(status=Status.REVIEW, changed_at__lt=Now() - WAITING_TIME):
        go_on(run)
    has_waited = Q(next_try_at=None) | Q(next_try_at__lt=Now())
    waited = Q(changed_at__lt=Now() - WAITING_TIME) & has_waited
    begun = Exists(Attempt.objects.filter(run=OuterRef("pk")))
    left = []
    runs = ImportRun.objects.filter(waited | begun, status__in=TASKS).order_by("pk")
    waiting = {*runs.filter(waited).values_list("pk", flat=True)}
    for run in runs:
        is_worked_on, lost_a_worker = working_and_lost(run)
        if not is_worked_on and (run.pk in waiting or lost_a_worker):
            left.append(run)
    with transaction.atomic():
        for run in left:
            enqueue(TASKS[Status(run.status)], run)
    return left


STANDSTILL_TIME = timedelta(minutes=3)
LOOKS = 5


def imports_stand_still() -> bool:
    """Whether a run has waited for minutes while no worker has any.

    One that waits for the catalogue's lock does not count while workers look at it again and again. Looked at several
    times, because a worker that goes from one chunk to the next has none for a moment.
    """
    long_ago = Now() - STANDSTILL_TIME
    waiting = ImportRun.objects.filter(status__in=TASKS, changed_at__lt=long_ago)
    waiting = waiting.exclude(status__in=CHANGING, next_try_at__gt=long_ago)
    for _ in range(LOOKS):
        if not waiting.exists() or is_anyone_working():
            return False
        time.sleep(0.1)
    return True
