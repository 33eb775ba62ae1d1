"""`python -m benchmarks [NAME …]`: measures, and prints one line for each promise."""

import sys
import tempfile
from pathlib import Path

from benchmarks import availability, booking, claim, delivery, detection, fuzz, million, planning, wake, webhook

KNOWN = {
    "webhook": webhook.run,
    "detection": detection.run,
    "planning": planning.run,
    "wake": wake.run,
    "delivery": delivery.run,
    "claim": claim.run,
    "availability": availability.run,
    "booking": booking.run,
    "million": million.run,
    "fuzz": fuzz.run,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    if unknown := set(names) - set(KNOWN):
        print(f"unknown benchmark {sorted(unknown)}; known are {', '.join(KNOWN)}")
        return 2
    for name in names or KNOWN:
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(KNOWN[name](Path(folder))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
