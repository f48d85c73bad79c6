"""From what core knows to what a page shows: pure functions, values in, HTML out; no component is made or read here.

Whatever a person or a model wrote goes through `text`, and so is shown as text, never as markup.
"""
