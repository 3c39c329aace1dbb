"""The contract that editors read (_core.pyi) and the compiled module say the same."""

import ast
import inspect
import pathlib
import re
import unittest

import epskew
from epskew import _core

STUB = ast.parse((pathlib.Path(_core.__file__).parent / "_core.pyi").read_text(encoding="utf-8"))
_UNSTATED = object()


def parameters(function):
    """[(name, kind, default)] of a definition; a default that is no literal is `...`."""
    arguments = function.args
    positional = arguments.posonlyargs + arguments.args
    missing = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, missing + arguments.defaults, ["positional"] * len(positional)))
    pairs += list(zip(arguments.kwonlyargs, arguments.kw_defaults, ["keyword"] * len(arguments.kwonlyargs)))
    return [(argument.arg, kind, literal(default)) for argument, default, kind in pairs if argument.arg != "self"]


def as_list(value):
    """A sequence is a sequence; what else a default is stays."""
    return list(value) if isinstance(value, tuple) else value


def literal(node):
    if node is None:
        return _UNSTATED
    try:
        return as_list(ast.literal_eval(node))
    except ValueError:
        return ...


def compiled_parameters(function):
    """The same of a function of the module, from the signature that it carries."""
    ((text, _, defaults),) = function.__nb_signature__
    # What an array must be like is no Python, and a default is a number between backslashes.
    text = re.sub(r"ndarray\[[^\]]*\]", "ndarray", re.sub(r"\\(\d+)", r"default_\1", text))
    definition = ast.parse(text + ": ...").body[0]
    values = {f"default_{i}": value for i, value in enumerate(defaults or ())}
    named = iter([each.id for each in definition.args.defaults + definition.args.kw_defaults if isinstance(each, ast.Name)])
    return [(name, kind, default if default is _UNSTATED else as_list(values[next(named)]) if default is ... else default)
            for name, kind, default in parameters(definition)]


def functions_of(body):
    """Definitions by name; those with decorators other than staticmethod (properties) are left out."""
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)
            and all(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)}


class Stubs(unittest.TestCase):
    def test_have_the_names_of_the_module(self):
        for node in STUB.body:
            if isinstance(node, ast.ClassDef):
                members = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
                present = getattr(_core, node.name)
                self.assertLessEqual(members, set(dir(present)), node.name)
                if not issubclass(present, Exception):
                    public = {name for name, value in inspect.getmembers(present) if not name.startswith("_")}
                    self.assertLessEqual(public, members, node.name)
        stated = {node.name for node in STUB.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        public = {name for name in dir(_core) if not name.startswith("_")}
        self.assertEqual(public, stated)
        self.assertLessEqual(stated, set(epskew.__all__))

    def test_have_the_parameters_of_the_module(self):
        compared = 0
        places = [(_core, "", functions_of(STUB.body))]
        places += [(getattr(_core, node.name), node.name + ".", functions_of(node.body))
                   for node in STUB.body if isinstance(node, ast.ClassDef)]
        for owner, prefix, stated in places:
            for name, definition in stated.items():
                compiled = inspect.getattr_static(owner, name)
                compiled = getattr(compiled, "__func__", compiled)
                # Python decides what the operand of a comparison is called.
                if not hasattr(compiled, "__nb_signature__") or name in ("__eq__", "__hash__", "__repr__"):
                    continue
                with self.subTest(prefix + name):
                    self.assertEqual(parameters(definition), compiled_parameters(compiled))
                    compared += bool(definition.args.args or definition.args.kwonlyargs)
        self.assertGreater(compared, 40)


if __name__ == "__main__":
    unittest.main()
