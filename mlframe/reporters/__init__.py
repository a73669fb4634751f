"""Files for people, written at the end of a run."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_reporters() -> list[Component]:
    """Offer the built-in reporters."""
    return [
        Component(
            "html",
            "mlframe.reporters.html:HtmlReporter",
            "One self-contained page: problem, answer, money, risks, pictures, every detail",
        ),
        Component(
            "card",
            "mlframe.reporters.card:CardReporter",
            "A model card as a page and as Markdown; says what is not stated",
        ),
        Component(
            "dossier",
            "mlframe.reporters.dossier:DossierReporter",
            "A folder for auditors in the order of Annex IV of the EU AI Act, with digests",
        ),
    ]
