"""Both components keep their contracts: the tests are mlframe's own."""

import mailbox
from email.message import EmailMessage

import pytest
from mlframe_minimal_parts import MboxSource

from mlframe import DataError
from mlframe.testing import ModelSuite, SourceSuite


class TestRandomCuts(ModelSuite):
    @pytest.fixture
    def component(self):
        return {"name": "random_cuts", "n_estimators": 20}


class TestMbox(SourceSuite):
    @pytest.fixture
    def component(self, tmp_path):
        for number in range(5):
            _post(tmp_path, f"Offer {number}")
        return {"name": "mbox", "path": str(tmp_path / "mails.mbox")}

    @pytest.fixture
    def change(self, tmp_path):
        return lambda: _post(tmp_path, "One more")


def test_mail_becomes_a_row(tmp_path):
    _post(tmp_path, "Grüße", date="Thu, 29 Feb 2024 10:00:00 +0200", text="naïve text")
    row = MboxSource(str(tmp_path / "mails.mbox")).read().row(0, named=True)
    assert row["subject"] == "Grüße"
    assert row["received"].isoformat() == "2024-02-29T08:00:00"
    assert row["body"].strip() == "naïve text"


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        MboxSource(str(tmp_path / "absent.mbox")).read()


def _post(folder, subject, date="Thu, 29 Feb 2024 10:00:00 +0000", text="See you soon"):
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Date"] = "ada@example.org", subject, date
    mail.set_content(text)
    box = mailbox.mbox(folder / "mails.mbox")
    box.add(mail)
    box.flush()
    box.close()
