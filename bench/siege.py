"""A web server under siege: how long two pages take while slow clients, waiting uploads and huge bodies come at once.

    .venv/bin/python -m bench.siege http://127.0.0.1:8000 --host catalogue.example.com --person alice --password …

It is for a server of your own with production's settings: gunicorn as the Dockerfile starts it, with a worker and
without a proxy in front. The person is staff. Their uploads add 800 products to the feed *API*, and take 40 of their
quota. Exit 1 when a page took longer than half a second; on a busy machine, compare with the times before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import re
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

SLOW, WAITING, HUGE = 8, 40, 20
HUGE_BYTES = 600 * 1024 * 1024
SECONDS = 30
LIMIT_SECONDS = 0.5
PAGES = ("/health-check/", "/admin/")
FORM = "multipart/form-data; boundary=siege"
PART = '--siege\r\nContent-Disposition: form-data; name="file"; filename="feed.csv"\r\n\r\n'
COLUMNS = "id,title,description,link,image_link,price,availability,condition"


class Site:
    """The server, as a client without a proxy sees it."""

    def __init__(self, address: str, host: str) -> None:
        parts = urlsplit(address)
        self.place = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.headers = {"Host": host, "X-Forwarded-Proto": "https"}
        self.answers: Counter[str] = Counter()

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(*self.place, timeout=90)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body.encode() or None, {**self.headers, **named})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def begin(self, path: str, length: int, **headers: str) -> socket.socket:
        """A request whose body is to come."""
        named = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
        connection = socket.create_connection(self.place, timeout=90)
        connection.sendall("\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode())
        return connection

    def log_in(self, person: str, password: str) -> tuple[str, str]:
        """The cookies of the admin, and a token of the API."""
        _status, page, headers = self.ask("GET", "/accounts/login/")
        token = re.findall(r'csrfmiddlewaretoken" value="([^"]+)', page)[0]
        form = urlencode({"csrfmiddlewaretoken": token, "username": person, "password": password})
        _status, _page, answered = self.ask(
            "POST",
            "/accounts/login/",
            form,
            Cookie=str(headers["Set-Cookie"]).partition(";")[0],
            Referer=f"https://{self.headers['Host']}/",
            Content_Type="application/x-www-form-urlencoded",
        )
        login = json.dumps({"username": person, "password": password})
        status, said, _headers = self.ask("POST", "/login/", login, Content_Type="application/json")
        if status != http.HTTPStatus.OK:
            sys.exit(f"{person} cannot log in: {said}")
        cookies = [cookie.partition(";")[0] for cookie in answered.get_all("Set-Cookie") or []]
        return "; ".join(cookies), json.loads(said)["access"]


def send_slowly(site: Site, number: int, token: str, end: float) -> None:
    """A byte a second: of a login, of an upload, or of a body that is refused."""
    requests: list[Callable[[], socket.socket]] = [
        lambda: site.begin("/login/", 100_000, Content_Type="application/json"),
        lambda: site.begin("/upload-products/", 10**6, Content_Type=FORM, Authorization=f"Bearer {token}"),
        lambda: site.begin("/admin/catalog/product/import/", HUGE_BYTES, Content_Type=FORM),
    ]
    while time.monotonic() < end:
        try:
            with requests[number % len(requests)]() as connection:
                while time.monotonic() < end:
                    connection.sendall(b"-")
                    time.sleep(1)
        except OSError:
            time.sleep(0.1)


def upload_and_wait(site: Site, token: str) -> None:
    ids = [uuid.uuid4().hex[:12] for _ in range(20)]
    web = "https://www.example.com"
    rows = "\n".join(f"{id},Dress,A dress,{web}/{id},{web}/{id}.jpg,100 AED,in stock,new" for id in ids)
    body = f"{PART}{COLUMNS}\n{rows}\r\n--siege--\r\n"
    status, said, headers = site.ask(
        "POST", "/upload-products/", body, Content_Type=FORM, Authorization=f"Bearer {token}", Prefer="wait=30"
    )
    waited = " after waiting" if headers["Preference-Applied"] else ""
    site.answers[f"upload: {status}{waited}" + (f" {said}" if status >= 400 else "")] += 1


def send_huge_body(site: Site, path: str) -> None:
    """A stranger's, as far as the server lets it come."""
    with site.begin(path, HUGE_BYTES, Content_Type=FORM) as connection:
        sent, piece = 0, b"x" * 65536
        try:
            connection.sendall(PART.encode())
            while sent < HUGE_BYTES:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        try:
            first_line = connection.recv(200).partition(b"\r\n")[0].decode()
        except OSError:
            first_line = "no answer"
    site.answers[f"huge body: {first_line[9:]}, at most {sent // 2**20 // 10 * 10 + 10} MB sent"] += 1


def page_times(site: Site, cookie: str, end: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {path: [] for path in PAGES}
    while time.monotonic() < end:
        for path in PAGES:
            start = time.monotonic()
            status, _page, _headers = site.ask("GET", path, Cookie=cookie)
            times[path].append(time.monotonic() - start)
            if status != http.HTTPStatus.OK:
                sys.exit(f"{path} answered {status}")
    return times


def besiege(site: Site, token: str, end: float) -> None:
    """Send everything at once, and print what was answered how often."""
    huge = ("/admin/catalog/product/import/", "/upload-products/", "/accounts/login/", "/signup/")
    threads = [threading.Thread(target=send_slowly, args=(site, number, token, end)) for number in range(SLOW)]
    threads += [threading.Thread(target=upload_and_wait, args=(site, token)) for _ in range(WAITING)]
    threads += [threading.Thread(target=send_huge_body, args=(site, huge[n % len(huge)])) for n in range(HUGE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer, count in sorted(site.answers.items()):
        print(f"{count:>7} × {answer}")


def told(when: str, times: dict[str, list[float]]) -> float:
    """Print the times, and return the longest."""
    for path, seconds in times.items():
        ordered = sorted(seconds)
        marks = [ordered[int((len(ordered) - 1) * share)] for share in (0.5, 0.95, 1)]
        half, most, longest = (f"{mark * 1000:,.0f} ms" for mark in marks)
        print(
            f"{when:>7} {path:<15} {len(ordered):>5} times: half within {half}, 95 % within {most}, longest {longest}"
        )
    return max(max(seconds) for seconds in times.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--host", default="localhost", help="one of DJANGO_ALLOWED_HOSTS")
    parser.add_argument("--person", required=True)
    parser.add_argument("--password", required=True)
    options = parser.parse_args()
    site = Site(options.address, options.host)
    cookie, token = site.log_in(options.person, options.password)
    told("before", page_times(site, cookie, time.monotonic() + 5))
    end = time.monotonic() + SECONDS
    # In a process of their own, so that their threads do not hold up the clock.
    besiegers = multiprocessing.get_context("fork").Process(target=besiege, args=(site, token, end))
    besiegers.start()
    longest = told("siege", page_times(site, cookie, end))
    besiegers.join()
    sys.exit(longest > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
