"""A name -> its rows: whatever the file is, wherever it lies, however it is packed."""
