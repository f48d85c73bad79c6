"""Files of examples -> Examples, and a report of everything in the files that is not one.

files -> rows -> conversations -> checks -> DataReport -> Selected
"""

from core.data.intake import NoExamplesError, read

__all__ = ["NoExamplesError", "read"]
