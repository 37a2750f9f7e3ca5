"""The admin's first page has a name, and pages of other packages that staff have no use for are away."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

# An address is kept on its user's page; a second place to edit it would let the two differ.
NOT_FOR_STAFF = ("account", "socialaccount")

admin.site.unregister([model for model in list(admin.site._registry) if model._meta.app_label in NOT_FOR_STAFF])
admin.site.index_title = _("Overview")
