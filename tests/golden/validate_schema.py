"""Validates result files: validate_schema.py FILE... Exits 1 naming the first path that does not fit."""
import json
import pathlib
import sys

import jsonschema

SCHEMA = pathlib.Path(__file__).parents[2] / "schema" / "result.schema.json"


def refuse_constant(text):
    # NaN and Infinity are not JSON, though Python would read them.
    raise ValueError(f"{text} is not JSON")


def load(path):
    return json.loads(pathlib.Path(path).read_text(), parse_constant=refuse_constant)


def first_problem(instance):
    """None, or 'path: message' of the most specific violation."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    errors = sorted(validator.iter_errors(instance), key=lambda e: e.json_path)
    if not errors:
        return None
    error = max(jsonschema.exceptions.best_match(errors).context or errors, key=lambda e: len(e.absolute_path))
    return f"{error.json_path}: {error.message}"


def main(names):
    for name in names:
        problem = first_problem(load(name))
        if problem:
            sys.exit(f"{name}: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
