"""The web page: every view is drawn from what lies in the run folders, and decides nothing by itself."""

import os

# Read by gradio when it is imported; without it, gradio asks the network for its latest version.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
