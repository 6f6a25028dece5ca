"""What a store is made of: written into it, compared when it is read."""

import json

from stages.core import params


def of_features(representation: str) -> dict[str, str]:
    """Name the data set and every parameter that a feature store comes from, sections as JSON.

    Args:
        representation: name of the representation.

    Raises:
        InputError: a section is missing.
    """
    sections = {"parameters": f"representations.{representation}", "audio": "audio", "augment": "features.augment"}
    texts = {name: json.dumps(params.value(section), sort_keys=True) for name, section in sections.items()}
    return {"dataset": params.value("dataset.name"), "representation": representation, **texts}


def of_attack(attack: str) -> dict[str, str]:
    """Name an attack and its parameters as they stand in params.yaml, before any tuning, as JSON.

    Raises:
        InputError: the attack has no section.
    """
    return {"attack": attack, "configured": json.dumps(params.value(f"attacks.{attack}"), sort_keys=True)}


def agree(found: object, wanted: object) -> bool:
    """Tell whether what a store says is what is asked for: of JSON its values, so that `1` is `1.0`, as to DVC."""
    if found == wanted or not (isinstance(found, str) and isinstance(wanted, str)):
        return bool(found == wanted)
    try:
        return bool(json.loads(found) == json.loads(wanted))
    except ValueError:
        return False
