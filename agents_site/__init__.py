"""The project: the only place that knows both apps, the server and the machine it runs on."""
