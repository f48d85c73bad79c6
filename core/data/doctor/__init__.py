"""What is wrong with conversations that can be read: one by one, and the whole set."""
