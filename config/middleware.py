"""What holds for every request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse addresses with a NUL: nobody means it, and PostgreSQL raises when a filter passes it on."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or any("\x00" in text for _name, texts in request.GET.lists() for text in texts):
            return HttpResponseBadRequest("The address holds a NUL character. Remove %00 from it.", "text/plain")
        return get_response(request)

    return middleware
