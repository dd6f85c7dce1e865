"""Looking at folders while others change them. `Path.rglob` and `Path.glob` fail when a folder goes away under them;
`os.walk` passes over it, and what is gone is not there."""

import os
from pathlib import Path


def below(folder):
    """Every file and folder below, as far as it is there when it is looked at."""
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(top) / name


def inside(folder):
    """The names in a folder; none when it is gone."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return []
