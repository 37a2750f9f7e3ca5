"""What the API remembers of uploads that may be sent again."""

from django.conf import settings
from django.db import models


class UploadKey(models.Model):
    """The answer to an upload with an `Idempotency-Key`, for whoever sends it again within a day."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    key = models.TextField()
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        indexes = [
            # forgetting those of more than a day ago
            models.Index("created_at", name="uploadkey_created"),
        ]
        constraints = [models.UniqueConstraint("user", "key", name="uploadkey_one_per_user")]

    def __str__(self) -> str:
        return self.key
