"""What the admin of both apps is made of: read-only lists, columns, filters that an index answers.

Nothing that a page does grows with a table: counting stops at a bound, and a filter never has to find out
what it could offer by reading everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from shared_state.html.excerpt import LONG, excerpt
from shared_state.html.pretty import indented
from shared_state.html.whole import Source, more

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:  # The classes cannot be subscripted at run time.
    ModelAdmin, AnyPaginator = admin.ModelAdmin, Paginator

Column = Callable[[Any], Any]

COUNTED = 10_000
"""How many rows of a table a list counts, and can page to; filters reach the rest."""
SHORT = 120
"""How many characters of a text a list shows."""
NOTHING = "–"
STYLES = {"all": ("agents/css/shared_state/admin.css",)}
"""What draws all this on the admin's pages, whosoever the project is."""


# -- parts of pages


def pretty(value: Any, source: Source | None = None) -> SafeString:
    """JSON, indented, escaped, and cut at a bound; `source`: where it may be seen whole."""
    text = indented(value)
    found = excerpt(text, LONG)
    if source is None:
        said = f"… {found.left:,} more characters" if found.left else ""
    else:
        said = more(found.left, source)
    return format_html('<pre class="json">{}</pre>{}', found.text, said)


def _source(found: Any) -> Source | None:
    """Where an event or a row shows its value whole."""
    if hasattr(found, "offset"):
        return Source(found.stream_id, offset=found.offset)
    return Source(found.stream_id, found.type, found.key) if hasattr(found, "version") else None


def short(text: str, limit: int = SHORT) -> str:
    """The beginning of a text."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def change_link(model: type[Model], key: Any, text: str) -> SafeString:
    """A link to the admin page of one object."""
    meta = model._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[key])
    return format_html('<a href="{}">{}</a>', address, text)


def list_link(model: type[Model], text: str, **filters: Any) -> SafeString:
    """A link to the admin's list of some objects."""
    meta = model._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(filters), text)


def in_line(parts: Iterable[SafeString | str], between: str = " · ") -> SafeString | str:
    """Parts beside each other; a dash if there are none."""
    return format_html_join(between, "{}", [(part,) for part in parts]) or NOTHING


def counted(parts: Iterable[tuple[SafeString, str]]) -> SafeString | str:
    """Parts, each with a number behind it; a dash if there are none."""
    return format_html_join(", ", "{} {}", parts) or NOTHING


def whole(text: str | None) -> int | None:
    """A whole number out of an address, or `None` for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 18 else None


# -- columns


def moment(name: str) -> Column:
    """A column that shows a time to the second."""

    @admin.display(description=name.removesuffix("_at").replace("_", " "), ordering=name)
    def time_column(found: Any) -> str:
        value = getattr(found, name)
        return f"{value:%Y-%m-%d %H:%M:%S}" if value else NOTHING

    return time_column


def json_column(name: str, description: str = "") -> Column:
    """A field of JSON, readable."""

    @admin.display(description=description or name)
    def json_shown(found: Any) -> SafeString | str:
        value = getattr(found, name)
        return NOTHING if value in (None, "", {}, []) else pretty(value, _source(found))

    return json_shown


def json_line(name: str, description: str = "") -> Column:
    """A field of JSON in one line, for lists."""

    @admin.display(description=description or name)
    def json_in_line(found: Any) -> str:
        return short(json.dumps(getattr(found, name), ensure_ascii=False, default=str))

    return json_in_line


def text_column(name: str, description: str = "") -> Column:
    """A field of text, which may be as long as somebody wanted."""

    @admin.display(description=description or name)
    def text_shown(found: Any) -> str:
        return short(getattr(found, name), LONG) or NOTHING

    return text_shown


def link_column(name: str, description: str = "", *, empty: str = NOTHING) -> Column:
    """A foreign key as a link to its admin page."""

    @admin.display(description=description or name)
    def link(found: Any) -> SafeString | str:
        other = getattr(found, name)
        return empty if other is None else change_link(type(other), other.pk, str(other))

    return link


# -- lists


class BoundedPaginator(AnyPaginator):
    """Counts up to a bound: the exact number of millions is not worth reading all of them."""

    bound = COUNTED

    @cached_property
    def count(self) -> int:
        """How many there are, or the bound."""
        found: Any = self.object_list
        return int(found.order_by().values("pk")[: self.bound].count())


class ReadOnlyAdmin(ModelAdmin):
    """Lists and pages to read. What may be changed is changed by named actions."""

    actions_on_bottom = False
    list_per_page = 50
    list_max_show_all = 200
    ordering = ("-pk",)
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by: ClassVar[Any] = ()

    class Media:
        css = STYLES

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EqualFilter(admin.SimpleListFilter):
    """A filter of the field that its parameter names, by one value."""

    parameter_name: str

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What has the value; everything while none is chosen."""
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


def chosen_filter(model: type[Model], name: str) -> type[admin.SimpleListFilter]:
    """A filter for the object that a link asked for. It offers no other: there may be thousands."""

    class ChosenFilter(EqualFilter):
        title = name
        parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            number = whole(self.value())
            found = model._default_manager.filter(pk=number).first() if number is not None else None
            return [(str(found.pk), str(found))] if found else []

    return ChosenFilter


def fixed_filter(name: str, values: tuple[str, ...]) -> type[admin.SimpleListFilter]:
    """A filter of a field by values that are known beforehand."""

    class FixedFilter(EqualFilter):
        title = name
        parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value) for value in values]

    return FixedFilter
