"""From a commit to every open socket. Knows no HTML: codecs turn events into changes."""
