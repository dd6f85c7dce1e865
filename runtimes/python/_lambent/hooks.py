"""`snapshot_restore_py` for functions whose package doesn't bring it: what runs before a snapshot is made of their
init, and after one was restored. The client runs them (`snapshot`)."""

_before = []
_after = []


def register_before_snapshot(func, *args, **kwargs):
    """Has `func` run before the snapshot; of several, the one registered last runs first. Fit as a decorator."""
    _before.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Has `func` run after each restore, in the order of registration. Fit as a decorator."""
    _after.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before


def get_after_restore():
    return _after
