"""Text that wants to be more than text, and a reader that says whether a page let it."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

MARK = "evil7f3c"
"""In every piece, so that one can tell that it is there at all."""

TEXT = "\n".join(
    [
        f"{MARK} <script>window.evil=1</script>",
        '"><img src=x onerror="window.evil=2"> \'><svg onload=window.evil=3>',
        "[link](javascript:window.evil=4) [data](data:text/html,<script>window.evil=5</script>)",
        "![picture](http://evil.example/track.png) <http://evil.example> [out](http://evil.example/out)",
        '<a href="javascript:window.evil=6">x</a> <iframe src="http://evil.example"></iframe>',
        "<style>*{display:none}</style> <form action=http://evil.example>",
        "{{ settings.SECRET_KEY }} {% debug %}",
        "</textarea></title></script> \u202egnp.exe",
        "```html\n<script>window.evil=7</script>\n```",
        "<details open ontoggle=window.evil=8>",
    ]
)
KEY = f"{MARK}\"'><script>window.evil=9</script>&"

SCHEMES = {"", "http", "https", "mailto"}


class Reader(HTMLParser):
    """Reads a page as a browser does, and collects what must not be on it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        given = {name: value or "" for name, value in attrs}
        if tag in ("iframe", "object", "embed", "base") or (tag == "style" and "nonce" not in given):
            self.faults.append(f"<{tag}>")
        if (
            tag == "script"
            and not given.get("src", "").startswith("/")
            and given.get("type") != "application/json"
        ):
            self.faults.append(f"<script {given}>")
        for name, value in given.items():
            self._attribute(tag, name, value)

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith(("on", "hx-on")) or name in ("style", "srcdoc", "formaction"):
            self.faults.append(f"<{tag} {name}={value[:80]!r}>")
        if name in ("href", "src", "action", "xlink:href", "data"):
            parts = urlsplit(value.strip())
            if parts.scheme.lower() not in SCHEMES and not value.startswith("data:image/"):
                self.faults.append(f"<{tag} {name}={value[:80]!r}>")
            if tag != "a" and parts.netloc:
                self.faults.append(f"<{tag} {name}={value[:80]!r}> loads from elsewhere")

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        self.text.append(data)


def faults(html: str) -> list[str]:
    """What is wrong with a page, or a part of one."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader.faults


def foreign_links(html: str) -> list[str]:
    """Links to other sites that would tell them where one comes from, or get hold of the window."""

    class Links(HTMLParser):
        found: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = {name: value or "" for name, value in attrs}
            kind = given.get("rel", "").split()
            if tag == "a" and "//" in given.get("href", "") and not {"noopener", "nofollow"} <= set(kind):
                self.found.append(given["href"])

    links = Links()
    links.feed(html)
    return links.found
