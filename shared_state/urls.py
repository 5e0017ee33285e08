"""Addresses of the pages about shared state."""

from __future__ import annotations

from django.urls import path

from shared_state.html import views, whole

app_name = "shared_state"
urlpatterns = [
    # No type of agent has a dash in its name.
    path("value-of/<path:stream>/", whole.value, name="value"),
    path("shared/", views.shared_list, name="shared-list"),
    path("shared/<path:id>/", views.shared, name="shared"),
]
