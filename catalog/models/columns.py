"""Which columns of the list of products a person has chosen."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class ChosenColumns(models.Model):
    person = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    columns = ArrayField(models.TextField())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Columns of {self.person}"
