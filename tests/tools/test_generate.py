"""Generated documents say what the code says."""

import pytest

from tools.generate import main


def test_generated_documents_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out
