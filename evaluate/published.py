"""Published results on the data sets, to compare the runs of a report with."""

from dataclasses import dataclass

import msgspec

from evaluate.document import PublishedRow
from evaluate.results import StoreIdentity


@dataclass(frozen=True, kw_only=True)
class Result:
    """A published AUC on a test set.

    Attributes
    ----------
    dataset
        Name of the data set.
    source
        Who published it.
    model
        Kind of model, and how it was trained and tested.
    auc
        As published; a range if there are several.
    split_scheme
        Split scheme of a store with the same protocol; empty if there is none.
    note
        Why the result should not be taken at face value, if so.
    link
        Where it was published, if that is known.
    """

    dataset: str
    source: str
    model: str
    auc: str
    split_scheme: str = ""
    note: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A paper about the method or the data.

    Attributes
    ----------
    text
        Authors, title and where it appeared.
    link
        Address of the paper.
    """

    text: str
    link: str


ELECTRON_PHOTON, QUARK_GLUON = "electron-photon", "quark-gluon"
PUBLISHED_ROWS = {
    ELECTRON_PHOTON: ([249_000, 249_000],),
    QUARK_GLUON: ([139_306], [36_272, 47_540, 55_494]),
}
"""Numbers of images in the published files, for each form in which the data set is published."""
RESULTS = (
    Result(
        dataset=ELECTRON_PHOTON,
        source="sample notebook of the challenge",
        model="CNN of 868,993 parameters, Keras; 160,000 / 25,600 / 25,600 per class in file order",
        auc="0.8104",
        split_scheme="challenge",
        link="https://github.com/ML4SCIHackathon/ML4SCI/blob/main/ParticleImagesChallenge/ParticleImages.ipynb",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="GSoC 2024 entry",
        model="ResNet-15, PyTorch; 70 / 10 / 20",
        auc="0.8044",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="GSoC 2023 entry",
        model="CNN, divided by the maximum pixel; PyTorch",
        auc="0.8004",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="GSoC 2023 entry",
        model="CNN, divided by the maximum pixel; Keras",
        auc="0.7863",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="public repository",
        model="two-branch ResNet-15; 70 / 10 / 20 by file position",
        auc="0.8109",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="public repository",
        model="energy-only ResNet-15; 80 / 20",
        auc="0.8158",
        note="the test set also chose the checkpoint",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="public repository",
        model="ResNet with flips in both axes, cosine decay, 50 epochs",
        auc="0.8143",
        link="https://github.com/fractaloid007/ML4Sci_Tasks",
    ),
    Result(dataset=ELECTRON_PHOTON, source="several", model="vision transformers", auc="0.76 to 0.765"),
    Result(
        dataset=ELECTRON_PHOTON,
        source="public repository",
        model="LightGBM on hand-made features",
        auc="0.779",
    ),
    Result(
        dataset=ELECTRON_PHOTON,
        source="public repository",
        model="ResNet-15 on the time channel alone",
        auc="0.6665",
    ),
    Result(dataset=QUARK_GLUON, source="GSoC entries", model="CNN", auc="0.70 to 0.73"),
    Result(dataset=QUARK_GLUON, source="GSoC entry", model="pt and m0 alone", auc="0.72"),
    Result(dataset=QUARK_GLUON, source="public repositories", model="CNN, VGG", auc="about 0.78"),
    Result(dataset=QUARK_GLUON, source="public repository", model="EdgeConv", auc="0.7923"),
)
CITATIONS = {
    ELECTRON_PHOTON: (
        Citation(
            text="M. Andrews, M. Paulini, S. Gleyzer, B. Poczos, End-to-End Physics Event Classification with CMS Open "
            "Data, Comput. Softw. Big Sci. 4 (2020) 6",
            link="https://arxiv.org/abs/1807.11916",
        ),
    ),
    QUARK_GLUON: (
        Citation(
            text="M. Andrews et al., End-to-end jet classification of quarks and gluons with the CMS Open Data, Nucl. "
            "Instrum. Meth. A 977 (2020) 164304",
            link="https://arxiv.org/abs/1902.08276",
        ),
    ),
}
"""By data set, the papers in which images like these were introduced."""


def why_not_comparable(result: Result, store: StoreIdentity, *, whole: bool) -> str:
    """Return why a published result cannot be compared with runs on a store, or an empty string if it can.

    The checksums of the published files are not known. A store is taken to be made from them if no source is marked as
    simulated and the sources have the same numbers of images.

    Parameters
    ----------
    result
        A result on the store's data set.
    store
        The store, as the runs recorded it.
    whole
        Whether the runs were evaluated on the whole test split without weights.
    """
    sources = [] if store.sources is msgspec.UNSET else store.sources
    if store.simulated or sorted(source["rows"] for source in sources) not in PUBLISHED_ROWS[result.dataset]:
        return "other data"
    if not result.split_scheme:
        return "other split"
    if result.split_scheme != store.split_scheme:
        return f"other split ({result.split_scheme})"
    return "" if whole else "part of the test split, or weighted"


def list_results(store: StoreIdentity, *, whole: bool) -> list[PublishedRow]:
    """Return the published results on a store's data set, each with the reason if it cannot be compared.

    Parameters as `why_not_comparable`.
    """
    rows = []
    for result in RESULTS:
        if result.dataset == store.dataset:
            reason = why_not_comparable(result, store, whole=whole)
            rows.append(
                PublishedRow(
                    source=result.source,
                    model=result.model,
                    auc=result.auc,
                    note=result.note,
                    comparable=not reason,
                    difference=reason,
                    link=result.link,
                )
            )
    return rows
