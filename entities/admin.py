"""Agents in Django's admin: types, agents, their wakes with leases, and what they observe.

Nothing is edited here; agents and wakes change by actions, which call `entities.api` as pages do, and say
for each object what came of it. An action is a unit of its own, so it must not run inside a transaction:
lists do not open one, and the buttons on an agent's page post to the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from entities import api
from entities.models import Entity, EntityType, Subscription, Timer, Wake
from entities.web import addresses
from entities.web import admin_columns as columns
from shared_state.admin import stream_links
from shared_state.api import Principal, SharedStateError, clock, principal_of
from shared_state.html.admin_parts import (
    EqualFilter,
    ReadOnlyAdmin,
    chosen_filter,
    json_column,
    json_line,
    link_column,
    list_link,
    moment,
    text_column,
)
from shared_state.models import Stream

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

stream_links.append(columns.of_stream)

NAMED = 5
"""How many objects a message names; of the others it says the number."""
STATUSES = ("running", *Entity.State.values)
LAST_ACTIVITY = moment("last_activity_at")

Act = Callable[[Principal, Any], str]
"""Does something to one object, and says what came of it."""


# -- actions


class OperatedAdmin(ReadOnlyAdmin):
    """Objects that change by named actions, from the list and from their own page."""

    class Media:
        css: ClassVar[Any] = {"all": ("agents/css/entities/admin.css",)}

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may change agents may operate them; `entities.api` asks again for each."""
        return bool(request.user.has_perm("entities.change_entity"))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Offer the actions on the object's page as buttons."""
        actions: dict[str, Any] = self.get_actions(request)
        context["operations"] = {name: description for _, name, description in actions.values()}
        return super().render_change_form(request, context, *args, **kwargs)

    def perform(self, request: HttpRequest, objects: Iterable[Any], act: Act) -> HttpResponse | None:
        """Do it to each, and say what came of it; back to the page that the button was on."""
        principal = principal_of(request.user)
        outcomes: dict[tuple[int, str], list[str]] = defaultdict(list)
        for each in objects:
            name = each.entity.url if isinstance(each, Wake) else each.url
            try:
                outcome, level = act(principal, each), messages.SUCCESS
            except (api.EntitiesError, SharedStateError) as error:
                outcome, level = str(error), messages.ERROR
            else:
                self.log_change(request, each, outcome)
            outcomes[level, outcome].append(name)
        for (level, outcome), names in outcomes.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            self.message_user(request, f"{', '.join(names[:NAMED])}{more}: {outcome}", level)
        if "from_page" not in request.POST:
            return None
        meta = self.model._meta
        page = f"admin:{meta.app_label}_{meta.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=[request.POST.get("_selected_action", "")]))


def _wake(principal: Principal, agent: Entity) -> str:
    api.wake_now(principal, agent)
    return "wake requested"


def _release(principal: Principal, agent: Entity) -> str:
    return "lease released" if api.release_lease(principal, agent) else "nobody held a lease"


def _stop(principal: Principal, agent: Entity) -> str:
    return api.signal_now(principal, agent.url, "SIGINT", reason="stopped in the admin")


def _retry(principal: Principal, wake: Wake) -> str:
    return "due again" if api.retry_parked(principal, wake) else "not parked, nothing to retry"


# -- agents


class StatusFilter(admin.SimpleListFilter):
    """By what pages show: `running` follows from the lease."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Agents with the status, see `Entity.status`."""
        wanted = self.value()
        if wanted is None:
            return queryset
        leased = Q(lease_expires_at__isnull=False, lease_expires_at__gt=clock.now())
        running = leased & ~Q(state__in=(Entity.State.STOPPED, Entity.State.KILLED))
        return queryset.filter(running) if wanted == "running" else queryset.filter(~running, state=wanted)


class AgentTypeFilter(EqualFilter):
    """By type, from the table of types."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All types that there are."""
        return [(name, name) for name in EntityType.objects.values_list("name", flat=True)]


class EntityList(ChangeList):
    """A page of agents, each with the number of its wakes that wait or are parked: one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        """Count for the agents of this page alone."""
        super().get_results(request)
        agents: list[Any] = list(self.result_list)
        counted = Wake.objects.filter(entity__in=agents, state__in=("pending", "parked")).order_by()
        counts = {
            (entity, state): count
            for entity, state, count in counted.values_list("entity", "state").annotate(n=Count("pk"))
        }
        for agent in agents:
            agent.pending, agent.parked = (
                counts.get((agent.pk, state), 0) for state in ("pending", "parked")
            )
        self.result_list = agents


@admin.register(Entity)
class EntityAdmin(OperatedAdmin):
    """Agents: their state, their lease, and the levers."""

    actions = ("wake_now", "release_lease", "stop")
    list_display = (
        "url", "title", columns.agent_status, "owner", columns.agent_waiting, columns.agent_lease,
        LAST_ACTIVITY, columns.agent_page,
    )  # fmt: skip
    list_filter = (StatusFilter, AgentTypeFilter, "created_at", chosen_filter(Entity, "parent"))
    search_fields = ("url", "title", "owner")
    search_help_text = "Parts of the address, the title or the owner"
    sortable_by: ClassVar[Any] = ("url", LAST_ACTIVITY)
    fields: ClassVar[Any] = (
        "url", "title", columns.agent_status, columns.agent_type, "owner", "created_by", columns.agent_family,
        columns.agent_stream, columns.agent_lease, columns.agent_epoch, "wake_count", columns.agent_wakes,
        columns.agent_sources, json_column("args", "arguments"), json_column("tags"), moment("created_at"),
        LAST_ACTIVITY,
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entity]:
        """With what pages and actions read of them."""
        agents: QuerySet[Entity] = super().get_queryset(request)
        return agents.select_related("stream", "parent")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list that counts wakes."""
        return EntityList

    @admin.action(description="Wake now", permissions=["operate"])
    def wake_now(self, request: HttpRequest, queryset: QuerySet[Entity]) -> HttpResponse | None:
        """Ask for a wake by hand."""
        return self.perform(request, queryset, _wake)

    @admin.action(description="Release lease", permissions=["operate"])
    def release_lease(self, request: HttpRequest, queryset: QuerySet[Entity]) -> HttpResponse | None:
        """Take the lease from the worker that holds it."""
        return self.perform(request, queryset, _release)

    @admin.action(description="Stop (SIGINT)", permissions=["operate"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Entity]) -> HttpResponse | None:
        return self.perform(request, queryset, _stop)

    def view_on_site(self, agent: Entity) -> str:
        return addresses.page(agent.url)


@admin.register(EntityType)
class EntityTypeAdmin(ReadOnlyAdmin):
    """Types, as the code defines them."""

    list_display = ("name", "description", "hidden", "revision", moment("updated_at"), "agents")
    list_filter = ("hidden",)
    ordering = ("name",)
    search_fields = ("name", "description")
    fields: ClassVar[Any] = (
        "name", "description", "hidden", "revision", moment("updated_at"), "agents",
        json_column("creation_schema", "arguments"), json_column("inbox_schemas", "messages"),
        json_column("state_schemas", "state"), json_column("boards"),
    )  # fmt: skip

    @admin.display(description="agents")
    def agents(self, found: EntityType) -> SafeString:
        """A link to the agents of the type."""
        return list_link(Entity, "agents", type=found.name)


# -- wakes and what causes them


@admin.register(Wake)
class WakeAdmin(OperatedAdmin):
    """Reasons to run, with the lease that runs them."""

    actions = ("retry_parked", "release_lease")
    list_display = (
        "reason", link_column("entity", "agent"), "source", columns.wake_state, "number", "attempts",
        moment("due_at"), columns.wake_lease, columns.wake_error, moment("settled_at"),
    )  # fmt: skip
    list_filter = (
        "state", "reason", chosen_filter(Entity, "entity"), chosen_filter(Subscription, "subscription"),
    )  # fmt: skip
    list_select_related = ("entity__stream", "subscription")
    search_fields = ("entity__url", "source")
    search_help_text = "Parts of the agent's address, or of the source"
    fields: ClassVar[Any] = (
        link_column("entity", "agent"), "reason", "source", link_column("subscription"), columns.wake_state,
        "number", columns.wake_range, moment("due_at"), "attempts", "epoch", columns.wake_lease,
        text_column("error"), json_column("payload"), moment("created_at"), moment("claimed_at"),
        moment("settled_at"),
    )  # fmt: skip

    @admin.action(description="Retry parked wake", permissions=["operate"])
    def retry_parked(self, request: HttpRequest, queryset: QuerySet[Wake]) -> HttpResponse | None:
        """Make parked wakes due again."""
        return self.perform(request, queryset, _retry)

    @admin.action(description="Release lease of the agent", permissions=["operate"])
    def release_lease(self, request: HttpRequest, queryset: QuerySet[Wake]) -> HttpResponse | None:
        """Take the lease under which they run, once for each agent."""
        one_each = {wake.entity_id: wake for wake in queryset}.values()
        return self.perform(request, one_each, lambda principal, wake: _release(principal, wake.entity))

    def view_on_site(self, wake: Wake) -> str:
        return addresses.page(wake.entity.url)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = (
        "source_url", "kind", link_column("observer"), json_line("types"), "debounce_ms", "timeout_ms",
        moment("created_at"),
    )  # fmt: skip
    list_filter = ("kind", chosen_filter(Entity, "observer"), chosen_filter(Stream, "source"))
    list_select_related = ("observer", "source")
    search_fields = ("source_url", "observer__url")
    search_help_text = "Parts of an address"
    fields: ClassVar[Any] = (
        link_column("observer"), link_column("source"), "kind", "include_response", json_column("types"),
        json_column("operations"), "debounce_ms", "timeout_ms", moment("created_at"), "wakes",
    )  # fmt: skip

    @admin.display(description="wakes")
    def wakes(self, found: Subscription) -> SafeString:
        return list_link(Wake, "wakes that it caused", subscription=found.pk)


@admin.register(Timer)
class TimerAdmin(ReadOnlyAdmin):
    """Messages that are to be delivered later."""

    list_display = (
        moment("due_at"),
        link_column("entity", "agent"),
        "sender",
        json_line("payload", "message"),
    )
    list_filter = (chosen_filter(Entity, "entity"),)
    list_select_related = ("entity",)
    ordering = ("due_at",)
    search_fields = ("entity__url", "sender")
    fields: ClassVar[Any] = (
        link_column("entity", "agent"), moment("due_at"), "sender", "message_type",
        json_column("payload", "message"), "key", moment("created_at"),
    )  # fmt: skip
