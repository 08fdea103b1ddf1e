"""Where people meet safe_numpy beside the error itself: notebooks, the command line, pytest, hooks. Imported late."""
