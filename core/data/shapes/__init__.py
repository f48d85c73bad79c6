"""A row -> conversations: the shapes in which people write examples."""
