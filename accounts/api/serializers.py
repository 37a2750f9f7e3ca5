"""What the calls about accounts take and give."""

from rest_framework import serializers

from accounts.models import User


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person, to themselves."""

    class Meta:
        model = User
        fields = ("pk", "username", "email", "first_name", "last_name")
        read_only_fields = ("email",)
