"""Pages in the test browser that can load nothing from other hosts, and that remember what went wrong."""

from urllib.parse import urlparse

LOCAL = ("file", "data", "blob", "about")  # addresses that a page opened from a folder may load


def watch(page) -> None:
    """Block other hosts for a page, and keep what it asked them for and its errors."""
    page.requests_out, page.errors = [], []

    def refuse(route):
        page.requests_out.append(route.request.url)
        route.abort()

    def note(message):
        address = (message.location or {}).get("url", "")
        if message.type == "error" and address not in page.requests_out:
            page.errors.append(f"{message.text} ({address})")

    page.context.route(lambda address: urlparse(address).scheme not in LOCAL, refuse)
    page.on("console", note)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
