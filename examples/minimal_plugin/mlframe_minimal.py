"""A whole plugin: what it offers, in two functions. It imports no library, so that mlframe starts fast."""

from mlframe import Component, hookimpl


@hookimpl
def mlframe_models():
    """Offer a class of scikit-learn for both families, and say nothing else: the contract is scikit-learn's."""
    targets = {
        "classification": "sklearn.ensemble:ExtraTreesClassifier",
        "regression": "sklearn.ensemble:ExtraTreesRegressor",
    }
    # A saved forest holds compiled trees, which skops loads only when a plugin vouches for them.
    return [Component("random_cuts", targets, "Forest with random cuts", trusted=("sklearn.tree._tree.Tree",))]


@hookimpl
def mlframe_sources():
    """Offer a class of our own, by name: it is imported when a config picks it."""
    return [Component("mbox", "mlframe_minimal_parts:MboxSource", "Mails of an mbox file, one row a mail")]
