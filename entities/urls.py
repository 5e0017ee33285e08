"""Every page of both apps: what a project includes, below any prefix.

    path("team/agents/", include("entities.urls"))

Names have a namespace, `entities:agent` and `shared_state:shared`, so that they are nobody else's. An agent's
page is `/{type}/{id}/` below the prefix, so the agents' own patterns come last.
"""

from __future__ import annotations

from django.urls import include, path, register_converter

from entities.types.registry import RESERVED
from entities.web import views


class TypeConverter:
    """The name of a type; names of the site's own pages are none."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED))})/)[a-z][a-z0-9_]{{0,62}}"

    def to_python(self, value: str) -> str:
        """As it stands in the address."""
        return value

    def to_url(self, value: str) -> str:
        """As it is stored."""
        return value


class SlugConverter(TypeConverter):
    """The id of an agent."""

    regex = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}"


register_converter(TypeConverter, "agent_type")
register_converter(SlugConverter, "agent_id")

pages = [
    path("", views.agents, name="home"),
    path("agents/", views.agents, name="agents"),
    path("agents/status/", views.statuses, name="agents-status"),
    path("agents/chat/", views.chat, name="agents-chat"),
    path("agents/new/", views.new, name="agent-new"),
    path("agents/new/<agent_type:type>/", views.new_of_type, name="agent-new"),
    path("<agent_type:type>/<agent_id:slug>/", views.agent, name="agent"),
    path("<agent_type:type>/<agent_id:slug>/family/", views.family, name="agent-family"),
    path("<agent_type:type>/<agent_id:slug>/earlier/", views.earlier, name="agent-earlier"),
    path("<agent_type:type>/<agent_id:slug>/tool/", views.tool, name="agent-tool"),
    path("<agent_type:type>/<agent_id:slug>/state/", views.state, name="agent-state"),
    path("<agent_type:type>/<agent_id:slug>/events/", views.events, name="agent-events"),
    path("<agent_type:type>/<agent_id:slug>/events/<int:offset>/", views.event, name="agent-event"),
    path("<agent_type:type>/<agent_id:slug>/board/<int:number>/", views.board, name="agent-board"),
]

urlpatterns = [path("", include("shared_state.urls")), path("", include((pages, "entities")))]
