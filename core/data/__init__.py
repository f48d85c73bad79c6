"""Files of examples -> Examples, and a report of everything in the files that is not one.

lines -> rows -> messages -> checks -> DataReport -> Split
"""

from core.data.readers import NoExamplesError, read
from core.data.split import Split, split

__all__ = ["NoExamplesError", "Split", "read", "split"]
