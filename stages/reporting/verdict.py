"""The sentences that the report begins with: untargeted attacks first, which any wrong class satisfies."""

from collections.abc import Iterator, Sequence

from stages.core.grid import MODELS
from stages.evaluation.results import Metrics
from stages.reporting.formatting import format_louder, format_range, interval
from stages.reporting.sections import Section


def verdict(section: Section, eps: float, snr: float) -> Iterator[str]:
    """Yield sentences: on untargeted attacks in both domains, on targeted ones in both, and on the accuracy.

    Args:
        section: the results of both models.
        eps: the budget of images, in L-infinity.
        snr: the budget of sounds, in dB.
    """
    yield from _untargeted_images(section, eps)
    yield _untargeted_sounds(section, snr)
    yield from _targeted_sounds(section, snr)
    yield from _targeted_images(section, eps)
    clean = [section.means[model]["clean"] for model in MODELS]
    yield f"Accuracy without an attack: {_shares(clean, 'accuracy', section)}."


def paired(section: Section, domain: str) -> str:
    """Tell what ratios and gains in a domain are of."""
    compared = section.comparison["sound"] if domain == "sound" else section.comparison
    return f"paired, over the {compared['clips']} clips that both models get right"


def _untargeted_images(section: Section, eps: float) -> Iterator[str]:
    """Yield how many images stay right at the budget, and at the budget of the training where that was measured."""
    pair = [section.means[model]["untargeted"]["image"] for model in MODELS]
    yield (
        f"Robust accuracy against untargeted attacks on the image within {eps:g} (L∞: no bin changes by more): "
        f"{_shares(pair, 'robust_accuracy', section)}."
    )
    if all("robust_accuracy_at_training_eps" in each for each in pair):
        yield (
            "The same within the budget that the hardened model was trained at: "
            f"{_shares(pair, 'robust_accuracy_at_training_eps', section)}."
        )


def _untargeted_sounds(section: Section, snr: float) -> str:
    pair = [section.means[model]["untargeted"]["sound"] for model in MODELS]
    robust = _shares(pair, "robust_accuracy", section) + _medians(pair)
    return (
        f"Robust accuracy against untargeted attacks on the sound within an SNR of {snr:g} dB: {robust}. "
        f"{_gain(section, 'snr_gain_untargeted')}".rstrip()
    )


def _shares(pair: Sequence[Metrics], key: str, section: Section) -> str:
    """Tell a share of all clips, of both models."""
    before, after = (interval(each, key) for each in pair)
    clips = section.means["baseline"]["clean"]["clips"]
    return f"{before} before hardening, {after} after, of {_clips(clips, section)}"


def _medians(pair: Sequence[Metrics]) -> str:
    if not all("snr_median" in each for each in pair):
        return ""
    before, after = (each["snr_median"] for each in pair)
    return (
        f"; half of the clips that a model gets right leave their class at {before:.1f} dB before, {after:.1f} dB after"
    )


def _gain(section: Section, key: str) -> str:
    compared = section.comparison["sound"]
    if key not in compared:
        return ""
    louder = format_louder(compared[key]) + format_range(compared, key, "{:.1f}")
    return f"The median clip needs a change {louder} than the baseline's ({paired(section, 'sound')})."


def _targeted_sounds(section: Section, snr: float) -> Iterator[str]:
    """Yield what fools both models as sound, into one class asked for."""
    worst = [section.means[model]["adaptive"].get("worst_snr", {}) for model in MODELS]
    if all("fooling_rate" in each for each in worst):
        rates = _fooled(worst, "fooling_rate", section)
        yield (
            f"Targeted attacks on the sound, into one class asked for, within {snr:g} dB: {rates}. "
            f"{_gain(section, 'snr_gain')}".rstrip()
        )


def _targeted_images(section: Section, eps: float) -> Iterator[str]:
    """Yield what fools both models as images, into one class asked for."""
    worst = [section.means[model]["adaptive"].get("worst_linf", {}) for model in MODELS]
    if not any(worst):
        return
    if all("fooling_rate" in each for each in worst):
        rates = _fooled(worst, "fooling_rate", section)
        yield f"Targeted attacks on the image, into one class asked for, within {eps:g} (L∞): {rates}. {_cost(section)}"
        yield f"At any size (L∞), these targeted attacks on the image: {_fooled(worst, 'fooling_ceiling', section)}."
    else:
        yield "A model got no clip right, so that there is none to be fooled and no targeted fooling rate."


def _fooled(worst: Sequence[Metrics], key: str, section: Section) -> str:
    before, after = (
        f"{interval(each, key)} of the {_clips(each['eligible'], section)} that the {model} model gets right"
        for each, model in zip(worst, MODELS, strict=True)
    )
    return f"{before} are fooled, {after}"


def _cost(section: Section) -> str:
    compared = section.comparison.get("worst_linf", {})
    if "cost_ratio" not in compared:
        return f"There is no median ratio of costs ({paired(section, 'image')})."
    ratio = f"{compared['cost_ratio']:.1f} times" + format_range(compared, "cost_ratio", "{:.1f}")
    return f"The median clip needs {ratio} the perturbation that fools the baseline (L∞; {paired(section, 'image')})."


def _clips(count: float, section: Section) -> str:
    return f"{count:.0f} clips{' a fold' if len(section.folds) > 1 else ''}"
