"""The baseline of the webhook: a bare Flask view that does one INSERT of the same body in the same database."""

import os
import sqlite3

from flask import Flask, request
from sqlalchemy import create_engine, event, text

app = Flask(__name__)
engine = create_engine(os.environ["BENCH_DATABASE_URL"], pool_size=12)
if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "busy_timeout=10000", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")


with engine.begin() as setup:
    key = "SERIAL PRIMARY KEY" if engine.dialect.name == "postgresql" else "INTEGER PRIMARY KEY"
    setup.execute(text(f"CREATE TABLE IF NOT EXISTS bare_event (id {key}, body TEXT)"))


@app.get("/")
def alive() -> str:
    return "ok"


@app.post("/")
def receive() -> dict[str, bool]:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO bare_event (body) VALUES (:body)"), {"body": request.get_data(as_text=True)}
        )
    return {"success": True}
