"""Static files are named by their content, also in imports of scripts, collected when needed."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from pytest_django import Settings

from agents_site import static_files
from shared_state.html import skeleton
from tests.support.client import Client
from tests.support.processes import Installation, collected_static_files

HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']+)["']""")


def modules(*scripts: Path) -> Iterator[tuple[Path, list[str]]]:
    """What a browser loads for scripts: each module, and the addresses that it imports."""
    waiting, seen = [*scripts], set[Path]()
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            imported = IMPORT.findall(module.read_text(encoding="utf-8"))
            yield module, imported
            waiting += [(module.parent / name).resolve() for name in imported]


def test_every_module_imports_others_by_the_name_of_their_content() -> None:
    folder = collected_static_files() / "static"
    names = json.loads((folder / "staticfiles.json").read_text())["paths"]
    loaded = list(modules(*((folder / names[script]).resolve() for script in skeleton.scripts())))

    assert len(loaded) > len(skeleton.scripts()) > 10
    for module, imported in loaded:
        assert HASHED.search(module.name), module
        assert [name for name in imported if not HASHED.search(name)] == [], module


def fetch(url: str, **headers: str) -> tuple[dict[str, str], bytes]:
    with urlopen(
        Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    ) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def test_what_a_page_names_may_be_kept_for_ever(site: Installation) -> None:
    _, page = Client(site.url).get("/agents/")
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)

    assert len(named) > 5
    for address in named:
        headers, _ = fetch(site.url + address, accept_encoding="gzip")
        assert HASHED.search(address), address
        assert headers["cache-control"] == "max-age=315360000, public, immutable"
        if not address.endswith(".svg"):
            assert headers["content-encoding"] == "gzip", address


def test_a_plain_name_is_asked_for_each_time(site: Installation) -> None:
    headers, body = fetch(f"{site.url}/static/agents/js/main.js")

    assert headers["cache-control"] == "max-age=0, public"
    assert b"import" in body


@pytest.fixture
def sources(tmp_path: Path, settings: Settings) -> Path:
    """A small project's static files: two scripts, of which one imports the other."""
    folder = tmp_path / "sources"
    (folder / "js").mkdir(parents=True)
    (folder / "js" / "a.js").write_text(
        'import { b } from "./b.js"\nexport { c } from "./b.js";\nimport("./b.js");'
    )
    (folder / "js" / "b.js").write_text("export const b = 1, c = 2;")
    settings.VAR_DIR = tmp_path
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_DIRS = [("agents", folder)]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    backend = {"BACKEND": "agents_site.static_files.HashedStaticFiles"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    return folder


def named(settings: Settings, name: str) -> str:
    paths = json.loads((settings.STATIC_ROOT / "staticfiles.json").read_text())["paths"]
    return str(paths[name])


def test_it_rewrites_every_form_of_import(sources: Path, settings: Settings) -> None:
    static_files.collect_if_changed()

    other = Path(named(settings, "agents/js/b.js")).name
    text = (settings.STATIC_ROOT / named(settings, "agents/js/a.js")).read_text()
    assert text == f'import {{ b }} from "./{other}"\nexport {{ c }} from "./{other}";\nimport("./{other}");'


def test_it_collects_again_only_what_changed(sources: Path, settings: Settings) -> None:
    assert static_files.collect_if_changed()
    first = named(settings, "agents/js/a.js")
    assert not static_files.collect_if_changed()

    (sources / "js" / "b.js").write_text("export const b = 3, c = 4;")
    later = (sources / "js" / "b.js").stat().st_mtime + 1
    os.utime(sources / "js" / "b.js", (later, later))

    assert static_files.collect_if_changed()
    assert named(settings, "agents/js/a.js") != first  # it imports what changed


def test_it_begins_anew_after_a_collection_that_was_cut_off(
    sources: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    static_files.collect_if_changed()
    (sources / "js" / "d.js").write_text("new;")

    def fail(*args: object, **options: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", fail)
        with pytest.raises(OSError, match="full"):
            static_files.collect_if_changed()

    assert static_files.collect_if_changed()
    assert named(settings, "agents/js/d.js").startswith("agents/js/d.")
