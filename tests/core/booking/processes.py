"""A program that tests start beside themselves: `python -m tests.core.booking.processes URL FOLDER TENANT IDS…`."""

import sys

from citaplanner_core.app import create_app
from citaplanner_core.booking.errors import SlotTaken
from citaplanner_core.database import close_database, work
from tests.core.booking.support import HALF_HOUR, TEN, Desk

SLOTS = 25


def main(url: str, folder: str, *ids: str) -> None:
    """Say ready, wait for a line, try to book each slot once, and print how many were had and how many were taken."""
    app = create_app({"database_url": url, "instance_path": folder, "secret_key": "k" * 32, "plugins": ()})
    desk = Desk(*map(int, ids))
    had = taken = 0
    with app.app_context():
        print("ready", flush=True)
        sys.stdin.readline()
        for slot in range(SLOTS):
            try:
                with work(desk.tenant) as session:
                    desk.book(session, TEN + slot * HALF_HOUR)
                had += 1
            except SlotTaken:
                taken += 1
        close_database()
    print(had, taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
