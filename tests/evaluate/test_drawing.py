"""Names of figures."""

from matplotlib.figure import Figure

from evaluate.drawing import Drawing, with_distinct_names


def test_figures_of_the_same_name_get_numbers():
    """Names that differ in case alone are the same file on some systems."""
    names = ["store-1-e-asymmetry", "roc", "store-1-e-asymmetry", "ROC", "roc"]
    drawings = [
        Drawing(name=name, section="data", alt="", caption=str(n), figure=Figure()) for n, name in enumerate(names)
    ]
    renamed = with_distinct_names(drawings)
    assert [drawing.name for drawing in renamed] == [
        "store-1-e-asymmetry",
        "roc",
        "store-1-e-asymmetry-2",
        "ROC-2",
        "roc-3",
    ]
    assert [drawing.caption for drawing in renamed] == list("01234")
