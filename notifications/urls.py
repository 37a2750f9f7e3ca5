from django.urls import path

from notifications.views import stop_mail

urlpatterns = [path("stop/", stop_mail, name="stop-mail")]
