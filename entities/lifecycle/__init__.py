"""What befalls an entity: it is made, messaged, signalled. One verb, one unit."""
