"""Sphinx extension: the list of references is sorted and labelled as the text cites it, "Bernhard et al., 2024"."""

from collections import Counter

from pybtex.plugin import register_plugin
from pybtex.richtext import Text
from pybtex.style.formatting.unsrt import Style as Unsrt
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting.author_year_title import SortingStyle


class AuthorYear(BaseLabelStyle):
    """One author, two, or the first and "et al.", and the year; a letter where that is not unique."""

    def format_labels(self, sorted_entries):
        """Yield the label of each entry."""
        labels = [f"{names(entry)}, {entry.fields['year']}" for entry in sorted_entries]
        often, seen = Counter(labels), Counter()
        for label in labels:
            seen[label] += 1
            yield label + ("abcdefgh"[seen[label] - 1] if often[label] > 1 else "")


def names(entry) -> str:
    """The authors of an entry as a text cites them."""
    people = [str(Text.from_latex(str(person).split(",")[0])) for person in entry.persons["author"]]
    several = len(people) > 2 or "others" in people
    return f"{people[0]} et al." if several else " and ".join(people)


class Style(Unsrt):
    """The usual way to write an entry, with our labels, in the order of authors and years."""

    default_label_style = AuthorYear
    default_sorting_style = SortingStyle


def setup(app):
    """Register with pybtex; `:style: author_year` of `{bibliography}` asks for it."""
    register_plugin("pybtex.style.formatting", "author_year", Style)
    return {"parallel_read_safe": True}
