"""Streams, events and rows in Django's admin, to read; grants to give and to take away.

The log is never edited here: no add, no change, no delete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse

from shared_state.api import Principal, count_rows, format_offset, how_many
from shared_state.html import pages
from shared_state.html.admin_parts import (
    STYLES,
    BoundedPaginator,
    EqualFilter,
    ModelAdmin,
    ReadOnlyAdmin,
    change_link,
    chosen_filter,
    counted,
    fixed_filter,
    in_line,
    json_column,
    json_line,
    link_column,
    list_link,
    moment,
    whole,
)
from shared_state.models import EventRecord, Grant, RowRecord, Stream

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Grant]
else:
    TabularInline, ModelForm = admin.TabularInline, forms.ModelForm

SEARCHED = 100_000
"""How many of the newest events or rows are searched unless the search names a stream."""
PROVENANCE = ("writer", "wake", "run", "tool_call")

stream_links: list[Callable[[Stream], SafeString | str]] = []
"""What apps above this one add to a stream's page: links to what they keep about it."""


def page_of(stream: Stream) -> str | None:
    """The address of a stream's page on the site; a presence stream has none of its own."""
    if stream.kind == Stream.Kind.ENTITY:
        return pages.of(f"agent:{stream.path}") or None
    if stream.kind == Stream.Kind.SHARED:
        return reverse("shared_state:shared", args=[stream.path.removeprefix("shared:")])
    return None


# -- the log


class TypeFilter(EqualFilter):
    """The types within the chosen stream."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """None, unless a stream was chosen: finding all types of a large log reads all of it."""
        stream = whole(request.GET.get("stream"))
        if stream is None:
            return []
        found = model_admin.model.objects.filter(stream=stream).order_by("type")
        return [(type, type) for type in found.values_list("type", flat=True).distinct()]


class InStreamAdmin(ReadOnlyAdmin):
    """What events and rows have in common: they are many, and each is in a stream."""

    list_select_related = ("stream",)
    search_fields = ("key",)  # Makes the box appear; see get_search_results.
    search_help_text = (
        f"An address, then parts of a type or key: /debate/1 tool_call. "
        f"Without an address, the newest {SEARCHED:,} are searched."
    )

    place_field: ClassVar[str]
    """Which field an index sorts by within a stream."""

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The newest first, as an index has them."""
        return ("-stream_id", f"-{self.place_field}") if request.GET.get("stream") else ("-pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search within the named stream and those below it, or within the newest."""
        words = search_term.split()
        if words and words[0].startswith(("/", "shared:", "presence:")):
            streams = Stream.objects.filter(path__startswith=words.pop(0)).order_by("-pk")
            queryset = queryset.filter(stream__in=list(streams.values_list("pk", flat=True)[:100]))
        elif words:
            newest = self.model._default_manager.aggregate(newest=Max("pk"))["newest"] or 0
            queryset = queryset.filter(pk__gt=newest - SEARCHED)
        for word in words:
            queryset = queryset.filter(Q(type__icontains=word) | Q(key__icontains=word))
        return queryset, False

    def view_on_site(self, found: EventRecord | RowRecord) -> str | None:
        return page_of(found.stream)


@admin.register(EventRecord)
class EventAdmin(InStreamAdmin):
    place_field = "offset"
    list_display = (
        "place", link_column("stream"), "type", "key", "operation", moment("timestamp"),
        json_line("whole", "value"),
    )  # fmt: skip
    list_filter = (
        chosen_filter(Stream, "stream"), TypeFilter,
        fixed_filter("operation", ("insert", "update", "delete")),
    )  # fmt: skip
    fields: ClassVar[Any] = (
        link_column("stream"), "opaque_offset", "type", "key", "operation", moment("timestamp"),
        json_column("whole", "value"), json_column("old", "value before"), *PROVENANCE, "client_key",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventRecord]:
        """With `whole`: the value, also of an event that has left it to its row."""
        row = RowRecord.objects.filter(
            stream=OuterRef("stream"), type=OuterRef("type"), key=OuterRef("key"), version=OuterRef("offset")
        )
        found: QuerySet[EventRecord] = super().get_queryset(request)
        return found.annotate(whole=Coalesce("value", Subquery(row.values("value")[:1])))

    @admin.display(description="offset")
    def place(self, event: EventRecord) -> int:
        return event.offset

    @admin.display(description="offset")
    def opaque_offset(self, event: EventRecord) -> str:
        """The offset in both forms."""
        return f"{event.offset} ({format_offset(event.offset)})"


@admin.register(RowRecord)
class RowAdmin(InStreamAdmin):
    """What the events amount to."""

    place_field = "created"
    list_display = ("key", link_column("stream"), "type", "version", moment("updated_at"), json_line("value"))
    list_filter = (chosen_filter(Stream, "stream"), TypeFilter)
    fields: ClassVar[Any] = (
        link_column("stream"), "type", "key", json_column("value"), "created", "version", "history",
        moment("created_at"), moment("updated_at"), *PROVENANCE,
    )  # fmt: skip

    @admin.display(description="events")
    def history(self, row: RowRecord) -> SafeString:
        """A link to the events that made the row."""
        return list_link(EventRecord, "of this type in this stream", stream=row.stream_id, type=row.type)


# -- streams and grants


class GrantForm(ModelForm):
    """A grant names somebody who is there: a misspelt name would silently grant nothing."""

    def clean_principal(self) -> str:
        """A principal. Raises `ValidationError` for what is none, and for a user who is not there."""
        text: str = self.cleaned_data["principal"].strip()
        try:
            principal = Principal.parse(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        user = get_user_model()
        named = user._default_manager.filter(**{user.USERNAME_FIELD: principal.name})
        if principal.kind == "user" and not named.exists():
            raise forms.ValidationError(f"There is no user {principal.name!r}.")
        return text


class GrantInline(TabularInline):
    """Who else may do what with a stream."""

    model = Grant
    form = GrantForm
    extra = 0
    fields: ClassVar[Any] = ("principal", "role", moment("created_at"))
    readonly_fields: ClassVar[Any] = fields[2:]
    verbose_name_plural = "Grants (at the top of a family they hold for all of it)"


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    """Streams. Only their grants can be changed."""

    inlines = (GrantInline,)
    list_display = ("path", "kind", "owner", "head", "contents", "closed", moment("created_at"))
    list_filter = ("kind", "closed", chosen_filter(Stream, "root"))
    search_fields = ("path", "owner")
    search_help_text = "A part of the address, or an owner: user:ada"
    fields: ClassVar[Any] = (
        "path", "kind", "owner", "family", "head", "begins", "swept", "epoch", "observed", "closed",
        moment("created_at"), "contents", "row_counts", "elsewhere", json_column("schema"),
    )  # fmt: skip
    readonly_fields: ClassVar[Any] = fields

    def has_change_permission(self, request: HttpRequest, obj: Stream | None = None) -> bool:
        """To change grants; the stream's own fields are all read-only."""
        return any(
            request.user.has_perm(f"shared_state.{verb}_grant") for verb in ("add", "change", "delete")
        )

    @admin.display(description="family")
    def family(self, stream: Stream) -> SafeString:
        """The topmost stream of its family."""
        if stream.root is None:
            return list_link(Stream, "on top; its descendants", root=stream.pk)
        return change_link(Stream, stream.root.pk, stream.root.path)

    @admin.display(description="contents")
    def contents(self, stream: Stream) -> SafeString | str:
        """Links to its events and rows."""
        kinds = ((EventRecord, "events"), (RowRecord, "rows"))
        return in_line(list_link(model, text, stream=stream.pk) for model, text in kinds)

    @admin.display(description="rows by type")
    def row_counts(self, stream: Stream) -> SafeString | str:
        """How many rows it has of each type."""
        return counted(
            (list_link(RowRecord, type, stream=stream.pk, type=type), how_many(count))
            for type, count in count_rows(stream.pk).items()
        )

    @admin.display(description="see also")
    def elsewhere(self, stream: Stream) -> SafeString | str:
        """What other apps keep about it."""
        return in_line(made(stream) for made in stream_links)

    def view_on_site(self, stream: Stream) -> str | None:
        return page_of(stream)


@admin.register(Grant)
class GrantAdmin(ModelAdmin):
    form = GrantForm
    autocomplete_fields = ("stream",)
    list_display = ("principal", "role", link_column("stream"), moment("created_at"))
    list_filter = ("role",)
    list_per_page = 50
    list_select_related = ("stream",)
    ordering = ("-pk",)
    paginator = BoundedPaginator
    search_fields = ("principal", "stream__path")
    search_help_text = "A principal such as user:ben, or a part of an address"
    show_full_result_count = False

    class Media:
        css = STYLES
