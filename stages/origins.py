"""What features are made of: written into their store, compared when it is read."""

import json

from stages import params


def origin(representation: str) -> dict[str, str]:
    """The data set and every parameter that a feature store comes from, sections as JSON.

    Args:
        representation: by its name.

    Raises:
        InputError: a section is missing.
    """
    sections = {"parameters": f"representations.{representation}", "audio": "audio", "augment": "features.augment"}
    texts = {name: json.dumps(params.value(section), sort_keys=True) for name, section in sections.items()}
    return {"dataset": params.value("dataset.name"), "representation": representation, **texts}
