"""Addresses of the pages about shared state."""

from __future__ import annotations

from django.urls import path

from shared_state.html import views

app_name = "shared_state"
urlpatterns = [
    path("shared/", views.shared_list, name="shared-list"),
    path("shared/<path:id>/", views.shared, name="shared"),
]
