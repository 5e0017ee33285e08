"""Static files named by their content, and collected again only when one of their sources changed.

A browser may keep a file for ever whose name says what is in it. Scripts import each other by such names too:
a page never runs modules of two releases, and asks for none of them twice.
"""

import hashlib
from pathlib import Path

import django
import orjson
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage

OWN_MODULES = ("agents/js/*.js", "js/*.js")
"""Whose imports are rewritten. Others' scripts import what only their bundlers find.

By the name that pages use, and by the one in the checkout's folder: Django looks at both.
"""
IMPORTS = (
    (r"""(?P<matched>\bfrom\s*["'](?P<url>\.[^"']+)["'])""", 'from "%(url)s"'),
    (r"""(?P<matched>\bimport\s*["'](?P<url>\.[^"']+)["'])""", 'import "%(url)s"'),
    (r"""(?P<matched>\bimport\(\s*["'](?P<url>\.[^"']+)["']\s*\))""", 'import("%(url)s")'),
)
"""`import … from "./x.js"`, `export … from "./x.js"`, `import "./x.js"` and `import("./x.js")`."""


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Hashed names, also in the imports of modules; a compressed copy beside each file.

    Modules must not import each other in a circle: each one's name depends on the names of what it imports.
    Django's own switch for imports, `support_js_module_import_aggregation`, is for all scripts or none.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, *((glob, IMPORTS) for glob in OWN_MODULES))
    # One pass for each level of imports; Django's five would limit how the scripts may be cut.
    max_post_process_passes = 20


def collect_if_changed() -> bool:
    """Collect all static files, unless that was done with these very sources; whether it was done now."""
    mark = Path(settings.VAR_DIR) / "static.sources"
    sources = _fingerprint()
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if manifest.exists() and mark.exists() and mark.read_text(encoding="ascii") == sources:
        return False
    # Without the mark, whoever starts after a collection that was cut off begins anew.
    mark.unlink(missing_ok=True)
    call_command("collectstatic", verbosity=0, interactive=False)
    mark.write_text(sources, encoding="ascii")
    return True


def _fingerprint() -> str:
    """Changes with every source, and with what turns sources into files. Reads no file but looks at each."""
    found = [
        (path, *_state(storage.path(path))) for finder in get_finders() for path, storage in finder.list([])
    ]
    makers = [django.__version__, *_state(__file__)]
    return hashlib.sha256(orjson.dumps([makers, sorted(found)])).hexdigest()


def _state(path: str) -> tuple[int, int]:
    state = Path(path).stat()
    return state.st_size, state.st_mtime_ns
