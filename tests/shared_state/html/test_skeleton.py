"""The skeleton that all pages extend: apps add to it, and it stands in a project that has little of ours."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.urls import include, path

from shared_state.html import skeleton
from tests.entities.web.browsing import Element, parse


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


ours = ([path("", nothing, name="shared-list")], "shared_state")
urlpatterns = [path("plans/", nothing, name="plans"), path("shared/", include(ours))]


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A skeleton to which nobody has added anything."""
    monkeypatch.setattr(skeleton, "_entries", {})
    monkeypatch.setattr(skeleton, "_styles", {})
    monkeypatch.setattr(skeleton, "_homes", {})
    monkeypatch.setattr(skeleton, "_parts", {slot: {} for slot in skeleton.SLOTS})


def rendered(user: User | AnonymousUser, source: str = "", **context: object) -> Element:
    """A page that extends the skeleton, for somebody."""
    request = RequestFactory().get("/")
    request.user = user
    template = engines["django"].from_string('{% extends "shared_state/base.html" %}' + source)
    return parse(template.render(context, request).replace("<!doctype html>", ""))


def links(page: Element) -> dict[str, str]:
    return {link.text: link.attributes["href"] for link in page.walk() if link.tag == "a"}


@pytest.mark.urls("tests.shared_state.html.test_skeleton")
def test_a_project_without_our_addresses_gets_no_links_to_them(ada: User) -> None:
    """It has neither a sign-in of that name nor an admin, and none of the pages of agents."""
    ada.is_staff = True

    page = rendered(ada)

    assert links(page) == {
        "Skip to the content": "#main",
        "Agents Site": "/shared/",
        "Shared state": "/shared/",
    }
    assert "Sign out" not in page.text


@pytest.mark.urls("tests.shared_state.html.test_skeleton")
def test_an_app_adds_an_entry_a_stylesheet_and_parts(empty: None, ada: User) -> None:
    skeleton.navigate("Shared", "shared_state:shared-list", section="shared", more=" state")
    skeleton.navigate("Plans", "plans", section="plans", order=10)
    skeleton.style("css/entities.css")
    skeleton.style("css/base.css", order=1)
    skeleton.fill("tools", "entities/skeleton/offline_chip.html")
    skeleton.fill("notices", "agents_site/local_notice.html", when=lambda request: False)

    page = rendered(ada, section="plans")

    (navigation,) = page.having("class", "site-nav")
    assert [each.text for each in navigation.walk() if each.tag == "a"] == ["Plans", "Shared state"]
    assert [each.text for each in navigation.having("aria-current")] == ["Plans"]
    sheets = [each.attributes["href"] for each in page.having("rel", "stylesheet")]
    assert [sheet.rpartition("/")[2] for sheet in sheets] == ["base.css", "entities.css"]
    assert page.having("class", "chip-offline")
    assert not page.having("data-notice")


@pytest.mark.urls("tests.shared_state.html.test_skeleton")
def test_nobody_is_shown_what_is_for_those_who_are_signed_in(empty: None) -> None:
    skeleton.navigate("Plans", "plans", section="plans")
    skeleton.navigate("Open", "shared_state:shared-list", section="open", when=lambda request: True)

    page = rendered(AnonymousUser())

    assert "Plans" not in links(page)
    assert links(page)["Open"] == "/shared/"
    assert not page.having("data-socket")


def test_the_name_of_an_account_is_whatever_the_project_takes_for_it(
    monkeypatch: pytest.MonkeyPatch, ada: User
) -> None:
    ada.email = "ada@example.org"
    monkeypatch.setattr(User, "USERNAME_FIELD", "email")

    page = rendered(ada)

    assert page.having("aria-label", "Account")[0].text == "ada@example.org"
    assert page.having("data-me", "user:ada@example.org")


def test_a_slot_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no slot 'side'"):
        skeleton.fill("side", "agents_site/local_notice.html")
