"""
What can go wrong that a user can put right:

* UserError
  - SpecError      a setting is missing, misspelt or contradicts another
  - DataError      a file cannot be read, or nothing in it can be trained on
  - TextError      a tokenizer or template that cannot be trusted
  - RunError       a run does not exist, or is in the wrong state for the request
  - TrainError     the model cannot be loaded or trained as asked
  - PublishError   the Hub refused, or could not be reached

Everything else is a bug and keeps its traceback.
"""


class UserError(Exception):
    """An error whose message says what happened, where, and what to do; shown without a traceback."""


class SpecError(UserError):
    pass


class DataError(UserError):
    pass


class TextError(UserError):
    pass


class RunError(UserError):
    pass


class TrainError(UserError):
    pass


class PublishError(UserError):
    pass
