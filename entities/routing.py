"""Websocket addresses."""

from django.urls import path

from entities.web.consumers import AgentConsumer

websocket_urlpatterns = [path("live/", AgentConsumer.as_asgi())]
