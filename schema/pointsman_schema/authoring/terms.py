"""The words in which the schemas are written: a number, a text, a choice, a closed map, and what may be removed."""

from typing import Any

Schema = dict[str, Any]

NAME = "^[a-z0-9-]{1,63}$"
SECRET = "^[A-Za-z0-9._-]{1,63}$"
SECRET_PER_STATION = r"^(?=.*\{station\})(?:[A-Za-z0-9._-]|\{station\}){1,63}$"
# A Jinja expression may stand anywhere; a lone brace nowhere but as {station}.
TEMPLATE = r"\{\{(?:[^}]|\}(?!\}))*\}\}"


def whole(title: str, description: str, least: int, most: int, default: int | None, example: int) -> Schema:
    """Return the schema of a whole number from `least` to `most`."""
    schema: Schema = {"title": title, "description": description, "type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return schema | {"examples": [example]}


def flag(title: str, description: str, default: bool) -> Schema:
    """Return the schema of true or false."""
    return {
        "title": title,
        "description": description,
        "type": "boolean",
        "default": default,
        "examples": [not default],
    }


def choice(title: str, description: str, values: list[str], default: str | None = None) -> Schema:
    """Return the schema of one of `values`."""
    schema: Schema = {"title": title, "description": description, "type": "string", "enum": values}
    if default is not None:
        schema["default"] = default
    return schema | {"examples": [values[-1]]}


def text(title: str, description: str, example: str, *, pattern: str = "", message: str = "", most: int = 0) -> Schema:
    """Return the schema of a text; `message` says what `pattern` demands."""
    schema: Schema = {"title": title, "description": description, "type": "string"}
    schema |= {"pattern": pattern, "patternErrorMessage": message} if pattern else {"minLength": 1}
    schema |= {"maxLength": most} if most else {}
    return schema | {"examples": [example]}


def secret(title: str, description: str, example: str) -> Schema:
    """Return the schema of a secret's name."""
    message = "a secret's name has 1 to 63 characters of A-Z a-z 0-9 . _ -"
    return text(title, description, example, pattern=SECRET, message=message)


def listed(title: str, description: str, items: Schema, *examples: list[Any]) -> Schema:
    """Return the schema of a list of at least one, without repetition."""
    return {
        "title": title,
        "description": description,
        "type": "array",
        "items": items,
        "minItems": 1,
        "uniqueItems": True,
        "examples": list(examples),
    }


def closed(title: str, description: str, properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a map with these keys and no other."""
    schema: Schema = {"title": title, "description": description, "type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema | {"additionalProperties": False}


def named(
    title: str, description: str, keys: str, keys_message: str, values: Schema, example: Any, least: int = 0
) -> Schema:
    """Return the schema of a map by name; `keys_message` says what the pattern `keys` demands of a name."""
    schema: Schema = {
        "title": title,
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": keys, "patternErrorMessage": keys_message},
        "additionalProperties": values,
    }
    return schema | ({"minProperties": least} if least else {}) | {"examples": [example]}


def reference(name: str, title: str, description: str, example: Any) -> Schema:
    """Return a reference to the definition `name`, with words of its own for this place."""
    return {"$ref": f"#/$defs/{name}", "title": title, "description": description, "examples": [example]}


def forbidden(title: str, reason: str) -> Schema:
    """Return the schema of a key that may not be here; `reason` is what people are told."""
    return {"title": title, "description": reason, "not": {}, "errorMessage": reason, "doNotSuggest": True}


def removable(schema: Schema) -> Schema:
    """Return `schema` such that null is taken as well: it removes what would be inherited."""
    new = dict(schema)
    if "type" in new:
        new["type"] = [new["type"], "null"]
    if "enum" in new:
        new["enum"] = [*new["enum"], None]
    return new


def removable_keys(schema: Schema) -> Schema:
    """Return the map `schema` with every key removable. Definitions that are referred to say so themselves."""
    properties = {name: removable(value) for name, value in schema["properties"].items()}
    return {**schema, "properties": properties}
