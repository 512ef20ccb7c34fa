"""The HTML pages on which Apache, nginx and others list a directory.

Such a page says what a directory holds, but rounds sizes and times; so each file of it has to be asked for.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

from kgp.io.doors.base import DoorFault

_HEADING = re.compile(r"\s*(?:index of|directory listing|listing of)\b", re.IGNORECASE)


def read_index_page(html: str, url: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the files and of the directories that a server's page of a directory links to.

    Links to parents, to deeper places, to other hosts and those that sort the page are passed over.

    Args:
        html: the page, well-formed or not.
        url: where it comes from; its path ends with a slash.

    Raises:
        DoorFault: ``confused``: it is no page of a directory, or a name is not UTF-8.
    """
    page = _Page()
    page.feed(html)
    page.close()
    if not any(_HEADING.match(heading) for heading in page.headings):
        raise DoorFault("confused", "the server's page is not the listing of a directory")
    base = urlsplit(url)
    parents = [unquote_to_bytes(name) for name in base.path.split("/")[:-1]]
    files: dict[str, None] = {}
    directories: dict[str, None] = {}
    for link in page.links:
        try:
            target = urlsplit(urljoin(url, link))
            if target.query or target.fragment or _host(target) != _host(base):
                continue
        except ValueError:  # not even a URL
            continue
        names = [unquote_to_bytes(name) for name in target.path.split("/")]
        below = names[len(parents) :] if names[: len(parents)] == parents else []
        if len(below) == 1 and below[0]:
            files[_decode(below[0])] = None
        elif len(below) == 2 and below[0] and not below[1]:
            directories[_decode(below[0])] = None
    return tuple(files), tuple(directories)


class _Page(HTMLParser):
    """Links and headings of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.headings: list[str] = []
        self._is_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("title", "h1"):
            self.headings.append("")
            self._is_heading = True
        elif tag == "a":
            self._is_heading = False
            self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("title", "h1"):
            self._is_heading = False

    def handle_data(self, data: str) -> None:
        if self._is_heading:
            self.headings[-1] += data


def _host(url: SplitResult) -> tuple[str | None, int | None]:
    """Host and port of a web address; http and https of one host are one."""
    if url.scheme not in ("http", "https"):
        return None, None
    return url.hostname, None if url.port in (80, 443) else url.port


def _decode(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise DoorFault("confused", f"the listing has a name that is not UTF-8: {name!r}") from None
