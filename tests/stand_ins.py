"""open_clip and timm import torchvision and PIL for transforms of pictures, which no script here uses."""

import importlib.abc
import importlib.machinery
import sys
import types
from unittest import mock


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: mock.MagicMock(name=name) if not name.startswith("__") else None
        return module

    def exec_module(self, module):
        module.__path__ = []
        module.__version__ = "10.0.0"


def stand_in_for_torchvision():
    """Where torchvision is not installed, or does not fit torch, what imports it gets on without it and PIL."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        sys.meta_path.insert(0, _StandIn({"torchvision", "PIL"}))
