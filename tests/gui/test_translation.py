"""What the window says goes through Qt's catalogues, also from modules that know no Qt."""

from pathlib import Path

import pytest

from geolocator_gui.gui import wording
from geolocator_gui.gui.run_rows import RunRow

pytestmark = pytest.mark.gui


@pytest.fixture
def spoken(application):
    """A catalogue that answers every text with itself in brackets, and notes which form was asked for."""
    from PySide6.QtCore import QTranslator

    asked: list[tuple[str, str, int]] = []

    class Brackets(QTranslator):
        def isEmpty(self) -> bool:
            return False

        def translate(self, context: str, text: str, comment: str | None = None, n: int = -1) -> str:
            asked.append((context, text, n))
            return f"[{text}]"

    catalogue = Brackets()
    application.installTranslator(catalogue)
    yield asked
    application.removeTranslator(catalogue)


def test_words_of_modules_without_qt_are_translated(spoken) -> None:
    row = RunRow(Path("centre"), "index", "stopped")
    assert row.title == "[Index] centre"
    assert row.line() == "[stopped]"
    assert wording.ago(0, 7200) == "[2 h ago]"
    assert wording.counted(1, "photo") == "[1 photos]", "the catalogue chooses the form, not English"
    assert ("Wording", "{n} photos", 1) in spoken


def test_what_is_named_when_a_module_is_read_is_translated_when_it_is_shown(spoken) -> None:
    from geolocator_gui.gui.negatives import verdicts
    from geolocator_gui.gui.worker import ProcessOutcome

    assert verdicts.LOOKS["hard"].word == "[Keep hard]"
    assert verdicts.FLAGS["far_twin"].short == "[far]"
    assert verdicts.FLAGS[""].word == ""
    assert str(ProcessOutcome(False, 3)) == "[it exited with status 3]"


def test_english_has_its_two_forms() -> None:
    assert wording.counted(1, "chip looks") == "1 chip looks"
    assert wording.counted(2, "chip looks") == "2 chips look"
    assert wording.counted(0, "run") == "0 runs"
    with pytest.raises(KeyError):
        wording.counted(2, "a noun that no catalogue knows")


def test_every_counted_noun_is_known() -> None:
    import ast

    for file in Path(wording.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "counted":
                assert node.args[1].value in wording._COUNTED, f"{file.name}:{node.lineno}"
