"""The other process of a test: says "ready", waits for a line, calls a function, prints what it answers."""

import importlib
import json
import sys

import django


def main(function: str, arguments: str) -> None:
    """Call `module:function` with JSON arguments."""
    django.setup()
    module, _, name = function.partition(":")
    call = getattr(importlib.import_module(module), name)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(call(**json.loads(arguments))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
