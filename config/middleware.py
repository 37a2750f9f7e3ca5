"""What holds for every request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

# What pages may load. unfold's Alpine evaluates expressions and sets styles; products show pictures of any shop.
PAGES = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: https: http:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
DATA = "default-src 'none'; frame-ancestors 'none'"


def limit_what_pages_load(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A Content-Security-Policy on every answer, also on errors: what a feed smuggles into a page finds no ground."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", PAGES if is_page else DATA)
        return response

    return middleware


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse addresses with a NUL: nobody means it, and PostgreSQL raises when a filter passes it on."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or any("\x00" in text for _name, texts in request.GET.lists() for text in texts):
            return HttpResponseBadRequest("The address holds a NUL character. Remove %00 from it.", "text/plain")
        return get_response(request)

    return middleware
