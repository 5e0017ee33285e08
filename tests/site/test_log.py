"""Logs tell what happened and never a secret."""

import json
import logging
import logging.config
from io import StringIO

import structlog

from agents_site import log


def written(style: str, event: str, **values: object) -> str:
    config = log.logging_config("INFO", style)
    formatter = structlog.stdlib.ProcessorFormatter(
        **{key: value for key, value in config["formatters"]["structured"].items() if key != "()"}
    )
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    record = logging.makeLogRecord({"name": "tests.log", "levelname": "INFO", "msg": event, **values})
    handler.emit(record)
    return stream.getvalue()


def test_it_writes_json_for_machines() -> None:
    line = json.loads(written("json", "wake.settled", entity="/debate/1", input_tokens=12))

    assert (line["event"], line["entity"], line["input_tokens"]) == ("wake.settled", "/debate/1", 12)
    assert (line["level"], line["logger"]) == ("info", "tests.log")


def test_it_hides_what_sounds_like_a_secret() -> None:
    headers = {"Authorization": "Bearer hunter2", "Accept": "text/html"}

    for style in ("json", "console"):
        line = written(style, "provider.called", api_key="hunter2", headers=headers, session_token="hunter2")

        assert "hunter2" not in line
        assert "text/html" in line
