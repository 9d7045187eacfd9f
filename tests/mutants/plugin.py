"""A pytest plugin: one module of the product is loaded from another file, the mutant (CHAPERONE_MUTANT: `module=path`)."""

import importlib.abc
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, path: str):
        self.module, self.path = module, path

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path) if name == self.module else None


if mutant := os.environ.get("CHAPERONE_MUTANT"):
    sys.meta_path.insert(0, _Finder(*mutant.split("=", 1)))
