"""Numbers in English words, American style, as the package `inflect` writes them."""

from math import log10

from .errors import TextError

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen",
    "twenty thirty forty fifty sixty seventy eighty ninety",
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion "
    "nonillion decillion",
)
_SMALL, _TENS, SCALES = (names.split() for names in _NAMES)

LARGEST = 1000 ** (len(SCALES) + 1) - 1  # the largest number with a name

_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
    "ty": "tieth",
}


def cardinal(number: int, joiner: str = " ") -> str:
    """Write a number in words: 12345 -> "twelve thousand, three hundred forty-five".

    joiner: text between hundreds, or thousands, and the part below a hundred: " ", or " and " for
    ordinals. Raises TextError beyond LARGEST.
    """
    if abs(number) > LARGEST:
        raise TextError(f"numbers must be at most 10^36 - 1, got about 10^{log10(abs(number)):.0f}")
    if number < 0:
        return f"minus {cardinal(-number, joiner)}"
    if number < 1000:
        return _below_1000(number, joiner)
    rest, last = divmod(number, 1000)
    groups = [_below_1000(last, joiner)] if last else []
    for scale in SCALES:
        rest, group = divmod(rest, 1000)
        if group:
            groups.insert(0, f"{_below_1000(group, joiner)} {scale}")
    if 0 < last < 100:
        return ", ".join(groups[:-1]) + joiner + groups[-1]
    return ", ".join(groups)


def ordinal(number: int) -> str:
    """Write an ordinal in words: 113 -> "one hundred and thirteenth"."""
    words = cardinal(number, " and ")
    for ending, replacement in _ORDINALS.items():
        if words.endswith(ending):
            return words[: -len(ending)] + replacement
    return f"{words}th"


def year(number: int) -> str:
    """Write a number between 1000 and 3000 as a year: 1905 -> "nineteen oh five"."""
    if not 1000 < number < 3000:
        raise TextError(f"a year must be from 1001 to 2999, got {number}")
    century, rest = divmod(number, 100)
    if 2000 <= number < 2010:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {minutes(rest)}"


def minutes(number: int) -> str:
    """Write the second pair of a year or a time: 5 -> "oh five"."""
    return f"oh {cardinal(number)}" if number < 10 else cardinal(number)


def digits(text: str) -> str:
    """Write digit by digit: "007" -> "zero zero seven"."""
    return " ".join(_SMALL[int(digit)] for digit in text)


def _below_1000(number: int, joiner: str) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_100(rest)
    words = f"{_SMALL[hundreds]} hundred"
    return f"{words}{joiner}{_below_100(rest)}" if rest else words


def _below_100(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, unit = divmod(number, 10)
    return f"{_TENS[tens - 2]}-{_SMALL[unit]}" if unit else _TENS[tens - 2]
