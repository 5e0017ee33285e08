"""The JSON API: thin ASGI routes beside Django, behind the same access door as the pages.

A request here costs a tenth of what it costs behind the middlewares, and a log is read in one query. What
Django knows better is left to Django: hosts, sessions and CSRF are its own code, called directly.
"""
