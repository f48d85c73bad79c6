"""The parts of the Data page. Each draws itself, says what is chosen in it, and shows what was read.

part.outputs                 the components that `show` may change
part.show(seen, state)       {component: what it is now}, from what `core.examine` saw and what is chosen
part.listen(...)             what a person does in it becomes the browser's state; reading follows from that
"""
