"""Values, schemas, access and threads: what every other room stands on."""
