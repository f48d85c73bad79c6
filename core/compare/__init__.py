"""Which is the better one: of several runs, and of tuning a model and handing it passages of documents."""
