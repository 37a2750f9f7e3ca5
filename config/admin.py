"""The title of the admin's first page. Pages of other packages that staff do not need are removed."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

# A person's address is edited on the user's page; a second place would let the two differ. What opens an account, and a
# browser's session with its key, nobody edits.
NOT_FOR_STAFF = ("account", "mfa", "socialaccount", "usersessions")

admin.site.unregister([model for model in list(admin.site._registry) if model._meta.app_label in NOT_FOR_STAFF])
admin.site.index_title = _("Overview")
