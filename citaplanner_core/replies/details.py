"""What a message says beside its intent: of what it wants no more, what it asks for, who it says not to be."""

from citaplanner_core.replies.reading import read
from citaplanner_core.replies.vocabulary import AROUND


def ends_marketing(text: str | None) -> bool:
    """Tell whether a message asks for no more advertising, and for nothing else: reminders are to go on."""
    reading = read(text or "", "")
    kinds = {item.kind for item in reading.items}
    return "marketing_out" in kinds and kinds <= AROUND | {"marketing_out", "glue", "no"} and not reading.misspelled
