"""Convert text to words as it is meant: the default mode, with the original's mistakes fixed.

`normalise` applies a list of rules, each for one kind of expression. Its result holds words,
apostrophes inside words, ``, . ? ! -`` and characters without words, which are reported later.
Normalising the result again does not change it, so a text may be split after normalising.
"""

import re
import unicodedata

from . import numbers
from .numbers import cardinal, digits, minutes, ordinal, year

# Thousands in groups, also as in India: 12,34,567.
_WHOLE = r"(?:(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?![,\d])|\d+)"
_NUMBER = rf"(?:{_WHOLE}(?:\.\d+)?|\.\d+)"
_NOT_INSIDE = r"(?<![\w.,])"  # a number begins here

# Characters -> their plain equivalents.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u2033\u300c\u300d", '"'),
        **dict.fromkeys("\u2010\u2011", "-"),
        **dict.fromkeys("\u2012\u2013", "\u2013"),
        **dict.fromkeys("\u2014\u2015", "\u2014"),
        **dict.fromkeys("\u00a1\u00bf", ""),
        **dict.fromkeys("\u2022\u00b7\u3001\u060c", ","),
        "\u2026": "...",
        "\u3002": ".",
        "\u06d4": ".",
        "\u061f": "?",
        "\u061b": ",",
        "\u200b": " ",
        "\u2212": " minus ",
        "\u2122": " trademark ",
        "\u00b2": " squared ",
        "\u00b3": " cubed ",
        "\u2116": " number ",
        "ß": "ss",
        "ẞ": "SS",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "th",
        "Ð": "Th",
        "þ": "th",
        "Þ": "Th",
        "\u0131": "i",
    }
)

_VULGAR = "\u00bc-\u00be\u2150-\u215f\u2189"  # fractions that are one character
# Denominators that are no ordinals.
_PARTS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_PAIRS = {(9, 11), (24, 7)}  # not fractions

# Sign -> unit, units, part, parts.
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₿": ("bitcoin", "bitcoins", "", ""),
}
_SIGN = f"[{''.join(_CURRENCIES)}]"
_SCALES = {
    **{scale: scale for scale in numbers.SCALES},
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "bn": "billion",
    "b": "billion",
    "tn": "trillion",
    "t": "trillion",
}
# A short scale has to follow its number directly: "$5 m" could mean anything.
_SCALE = rf"(?:\s?({'|'.join(numbers.SCALES)})\b|(k|mn?|bn?|tn?)\b)"

# After a number.
_UNITS = {
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "kg": "kilogram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ft": "foot",
    "mph": "mile per hour",
    "km/h": "kilometer per hour",
    "ms": "millisecond",
    "kb": "kilobyte",
    "mb": "megabyte",
    "gb": "gigabyte",
    "tb": "terabyte",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "ghz": "gigahertz",
    "°c": "degree celsius",
    "°f": "degree fahrenheit",
    "°": "degree",
    "¢": "cent",
}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_HALF = r"\s?([ap])(?:\.\s?m\b\.?|m\b)"  # of the day

# Before a name; the full stop is part of the abbreviation.
_TITLES = {
    "mrs": "missus",
    "mr": "mister",
    "ms": "ms",
    "drs": "doctors",
    "dr": "doctor",
    "st": "saint",
    "maj": "major",
    "gen": "general",
    "prof": "professor",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "col": "colonel",
    "ft": "fort",
    "vs": "versus",
}
# After a name; the full stop may also end the sentence.
_ENDINGS = {
    "co": "company",
    "jr": "junior",
    "sr": "senior",
    "esq": "esquire",
    "ltd": "limited",
    "inc": "incorporated",
    "corp": "corporation",
    "etc": "et cetera",
    "ave": "avenue",
}

# Signs by their names, if no earlier rule has converted them.
_SIGNS = {
    "%": "percent",
    "‰": "per thousand",
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "*": "star",
    "#": "hash",
    "/": "slash",
    "\\": "backslash",
    "<": "less than",
    ">": "greater than",
    "^": "caret",
    "~": "tilde",
    "_": "underscore",
    "|": "bar",
    "°": "degrees",
    "¢": "cents",
    "\u00d7": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≈": "about",
    "≠": "is not equal to",
    "≤": "at most",
    "≥": "at least",
    "§": "section",
    "¶": "paragraph",
    "©": "copyright",
    "®": "registered",
    **{sign: units for sign, (_, units, _, _) in _CURRENCIES.items()},
}

_ADDRESS_SIGNS = {
    **{sign: _SIGNS[sign] for sign in "/@=&_~%+#"},
    ".": "dot",
    ":": "colon",
    "?": "question mark",
    "-": "dash",
}

# A rule may separate parts for another rule ("5Ltd." is first "five Ltd."), so the rules are
# repeated until nothing changes. For nearly all texts that is the second round.
_MOST_PASSES = 8

# After an abbreviation a sentence ends at the end of the text, or before a capital letter.
_END = re.compile(r"[\s'\")]*\Z")
_NEW_SENTENCE = re.compile(rf"['\")]*\s+(?!(?i:{'|'.join(_ENDINGS)})\.)['\"(]*[A-Z]")

_WORD = re.compile(
    r"'(?:cause|em|til|tis|twas|n)\b"  # an apostrophe for left-out letters, not a quote
    r"|[A-Za-z]+(?:'[A-Za-z]+)*(?:(?<=in)'(?![A-Za-z]))?"
    r"|[,.?!-]|'|[^\sA-Za-z,.?!'-]+",
    re.IGNORECASE,
)


def normalise(text: str) -> str:
    """Write all numbers, signs and abbreviations of a text in words, with plain punctuation."""
    for _ in range(_MOST_PASSES):
        before = text
        for rule in _RULES:
            text = rule(text)
        if text == before:
            break
    return text


def words(text: str) -> list[str]:
    """Split normalised text into words, with apostrophes inside, and punctuation; drop quotes."""
    return [word for word in _WORD.findall(text) if word != "'"]


def _characters(text: str) -> str:
    """Replace characters by plain quotes, ASCII digits and letters without accents."""
    text = text.translate(_PLAIN)
    if text.isascii():
        return text
    text = re.sub(rf"(?<=[\d{_VULGAR}])(?=[{_VULGAR}])", " ", text)  # NFKC decomposes 2½ to 21/2
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    text = "".join(_digit(c) for c in text if unicodedata.category(c) != "Cf")
    bare = re.sub("([A-Za-z])[\u0300-\u036f]+", r"\1", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", bare)


def _digit(c: str) -> str:
    return str(unicodedata.digit(c)) if c.isdecimal() else c


def _lines(text: str) -> str:
    """Replace line ends by spaces; an empty line ends a sentence."""
    return re.sub(r"\s+", lambda m: ". " if m[0].count("\n") > 1 else " ", text.strip())


def _addresses(text: str) -> str:
    """Read URLs and e-mail addresses sign by sign."""
    return re.sub(
        r"(?:https?://|www\.)[^\s\"'<>()]*[\w/]"
        r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
        lambda m: re.sub(
            f"[{re.escape(''.join(_ADDRESS_SIGNS))}]",
            lambda sign: f" {_ADDRESS_SIGNS[sign[0]]} ",
            re.sub("://", " colon slash slash ", m[0]),
        ),
        text,
    )


def _telephones(text: str) -> str:
    """Read telephone and card numbers digit by digit, with a pause between the groups.

    "555-1234", "(800) 555 0199", "+44 20 7946 0958", "01 23 45 67 89", "4111 1111 1111 1111"; a
    zero or a plus begins those whose groups have any lengths.
    """
    return re.sub(
        rf"(?<![\w.,-])(?<!{_SIGN})(?:"
        r"(?:\+\d{1,3}[ .-]?|1[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}"
        r"|(?:1-)?\d{3}[ -]\d{4}"
        r"|\+\d{10,15}"
        r"|(?=(?:\D{0,2}\d){8})\+\d{1,3}(?: ?\(\d{1,4}\) ?\d{1,9})?(?:[ -]\d{1,9}){1,6}"
        r"|(?=(?:\D?\d){9})0\d{1,4}([ -])\d{2,8}(?:\1\d{2,8}){0,5}"
        r"|\(0\d{1,4}\) ?\d{3,4} ?\d{3,4}"
        r"|\d{4}([ -])\d{4}\2\d{4}\2\d{4}"
        r"|\d{3}-\d{2}-\d{4}"
        r")(?![\w-]|[ .]\d)",
        lambda m: (
            ("plus " if m[0].startswith("+") else "")
            + ", ".join(digits(group) for group in re.findall(r"\d+", m[0]))
        ),
        text,
    )


def _groups(text: str) -> str:
    """Write groups of thousands with commas: "1 000 000", "1'000", "1_000"."""
    return re.sub(
        r"(?<![\w.,'])[1-9]\d{0,2}([ '_])\d{3}(?:\1\d{3})*(?![\d_']|[ ,]\d)",
        lambda m: m[0].replace(m[1], ","),
        text,
    )


def _ranges(text: str) -> str:
    """Read an en dash between amounts, and a hyphen between times, as "to"."""
    half = r"\d\s?[ap]\.?m\b\.?"
    text = re.sub(
        rf"(\d(?:%|\s?(?:{_UNIT}))?|{half})\s?\u2013\s?(?={_SIGN}?\.?\d)",
        r"\1 to ",
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(
        rf"(:\d\d|{half})\s?-\s?(?=\d)",
        r"\1 to ",
        text,
        flags=re.IGNORECASE,
    )


def _times(text: str) -> str:
    """ "1:25", "5:30 p.m.", "10.30 pm", "7 am", "1:02:03"."""
    text = re.sub(
        rf"(?<![\w.:,])(2[0-4]|[01]?\d):([0-5]\d)(?::([0-5]\d))?(?!:?\d)(?:{_HALF})?",
        lambda m: _time(m[1], m[2], m[3], m[4]) + _stop_after(m),
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(
        rf"(?<![\w.:,])(1[0-2]|0?[1-9])(?:\.([0-5]\d))?{_HALF}",
        lambda m: _time(m[1], m[2] or "0", None, m[3]) + _stop_after(m),
        text,
        flags=re.IGNORECASE,
    )


def _time(hour: str, minute: str, second: str | None, half: str | None) -> str:
    said = [cardinal(int(hour))]
    if second:
        said += [minutes(int(minute)), minutes(int(second))]
    elif int(minute):
        said.append(minutes(int(minute)))
    elif not half:
        said.append("o'clock" if 0 < int(hour) <= 12 else "hundred")
    return " ".join([*said, *([_letters(half + "m")] if half else [])])


def _stop_after(match: re.Match) -> str:
    """Full stop of an abbreviation, if a sentence ends there; else empty."""
    ends = match[0].endswith(".") and _NEW_SENTENCE.match(match.string, match.end())
    return "." if ends else _stop_at_end(match)


def _stop_at_end(match: re.Match) -> str:
    """Full stop of an abbreviation, if the text ends there; else empty."""
    return "." if match[0].endswith(".") and _END.match(match.string, match.end()) else ""


def _multiples(text: str) -> str:
    """ "4x" is four times, "1920x1080" and "4 x 4" are by; "4x + 1" and "0x1f" are neither."""
    text = re.sub(r"(?<=\d)(?<!\b0)\s?x\s?(?=\.?\d)", " by ", text, flags=re.IGNORECASE)
    return re.sub(
        r"(?<=\d)x(?!\w|\s?[=+*/^]|\s-\s)",
        " times",
        text,
        flags=re.IGNORECASE,
    )


def _fractions(text: str) -> str:
    """ "1/2", "3 3/4", "2½ km", "$1½ million"; "1/2/2024" and "01/02" are none."""
    return re.sub(
        rf"(?<![\w.,/\u2044])(-?)(?:({_SIGN})\s?)?(?:(\d{{1,3}}(?:,\d{{3}})*)[ -])?"
        r"(0|[1-9]\d{0,3})([/\u2044])([1-9]\d{0,4})(?:st|nd|rd|th)?(?![\d/\u2044]|[.,]\d)"
        rf"(?:{_SCALE}|\s?({_UNIT})(?![\w°])\.?)?",
        _mixed,
        text,
        flags=re.IGNORECASE,
    )


def _mixed(match: re.Match) -> str:
    """Read a number and a fraction, either of which may be missing, with what they count."""
    minus, sign, whole, n, mark, m, long_scale, short_scale, unit = match.groups()
    said = [_fraction(int(n), int(m), is_pair=mark == "/" and not whole)]
    if whole:
        said = [_count(whole), *(["and"] if int(n) < int(m) else []), *said]
    if scale := long_scale or short_scale:
        said.append(_SCALES[scale.lower()])
    if sign or unit:
        one, many = _CURRENCIES[sign][:2] if sign else (_unit(unit, True), _unit(unit, False))
        is_part = not whole and not scale and int(n) < int(m)
        said.append(f"of {'an' if one[0] in 'aio' else 'a'} {one}" if is_part else many)
    return f"{' minus' * bool(minus)} {' '.join(said)} {_stop_after(match)}"


def _fraction(n: int, m: int, is_pair: bool) -> str:
    """Read n/m: "three quarters", "seven tenths", "one twenty over eighty"; 50/50 is a pair."""
    if is_pair and (n == m or (n, m) in _PAIRS):
        return f"{cardinal(n)} {cardinal(m)}"
    if m == 1 or (n > m > 10) or (m > 100 and m not in (1000, 10_000)):
        return f"{cardinal(n)} over {cardinal(m)}"
    one, many = _PARTS.get(m) or (ordinal(m), f"{ordinal(m)}s")
    return f"{cardinal(n)} {one if n == 1 else many}"


def _money(text: str) -> str:
    """ "$3.50", "$1.5 million", "-£20", "$10k", "5 €"."""
    text = re.sub(
        rf"(?<![\w.])(-?)({_SIGN})\s?({_NUMBER})(?!\.?\d)(?:{_SCALE})?",
        lambda m: _amount(m[1], m[2], m[3], m[4] or m[5]),
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(
        rf"(?<![\w.,])(-?)({_NUMBER})(?:{_SCALE})?\s?({_SIGN})(?!\d)",
        lambda m: _amount(m[1], m[5], m[2], m[3] or m[4]),
        text,
        flags=re.IGNORECASE,
    )


def _amount(sign: str, currency: str, number: str, scale: str | None) -> str:
    """Write units and parts if there are one or two decimals, else the number and the units."""
    unit, units, part, parts = _CURRENCIES[currency]
    minus = " minus " if sign else " "
    if scale:
        return f"{minus}{_number(number)} {_SCALES[scale.lower()]} {units} "
    whole, _, fraction = number.partition(".")
    if not part or len(fraction) > 2:
        return f"{minus}{_number(number)} {unit if _is_one(number) else units} "
    f = int(fraction.ljust(2, "0"))
    said = [f"{_count(whole)} {unit if _is_one(whole) else units}"]
    if f and not whole.strip("0"):
        said = []
    if f:
        said.append(f"{cardinal(f)} {part if f == 1 else parts}")
    return f"{minus}{' '.join(said)} "


def _measures(text: str) -> str:
    """ "5km", "1 kg", "20 °C", "6'2"", numbers with a unit that is written short."""
    text = re.sub(
        r"(?<![\w.])(\d{1,2})'\s?(\d{1,2})(?:\"|'')",
        lambda m: f"{m[1]} feet {m[2]} inches",
        text,
    )
    return re.sub(
        rf"(?<![\w.,])({_NUMBER})\s?({_UNIT})(?![\w°])\.?",
        lambda m: f"{_number(m[1])} {_unit(m[2], _is_one(m[1]))}{_stop_after(m)}",
        text,
        flags=re.IGNORECASE,
    )


def _unit(short: str, one: bool) -> str:
    name, *rest = _UNITS[short.lower()].split(" ")
    if not one and not name.endswith("hertz"):
        name = "feet" if name == "foot" else f"{name}s"
    return " ".join([name, *rest])


def _abbreviations(text: str) -> str:
    """ "Dr. Brown" and "Acme Co."; "No. 5" and "#5"; "Main St." after a name is a street."""
    text = re.sub(r"\b[Nn]os?\.\s?(?=\d)|#(?=\d)", "number ", text)
    text = re.sub(r"\b([A-Z][a-z]+ )St\.(?!\s+[A-Z])", r"\1street.", text)
    text = re.sub(
        rf"\b({'|'.join(_TITLES)})\.(?![A-Za-z_])",
        lambda m: _TITLES[m[1].lower()] + _stop_at_end(m),
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(
        rf"\b({'|'.join(_ENDINGS)})\.(?![A-Za-z_])",
        lambda m: _ENDINGS[m[1].lower()] + _stop_after(m),
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(r"\bstreet\.(?=\s*[a-z,])", "street", text)


def _initials(text: str) -> str:
    """ "U.S.", "e.g.", "J. Smith": letters, without the stops."""
    text = re.sub(
        r"(?<![\w.])[A-Za-z](?:\.[A-Za-z])+\b\.?",
        lambda m: _letters(m[0].replace(".", "")) + _stop_at_end(m),
        text,
    )
    return re.sub(r"(?<![\w.'])([A-HJ-Z])\.(?= [A-Z][a-z])", lambda m: _letters(m[1]), text)


def _letters(text: str) -> str:
    """Write letters as separate words that are not read as the article "a"."""
    return " ".join("ay" if c == "a" else c for c in text.lower())


def _ordinals(text: str) -> str:
    """ "21st", "1,000th"."""
    return re.sub(
        rf"(?<![\w.,])({_WHOLE})(?:st|nd|rd|th)\b",
        lambda m: _beyond(m[1]) + "th" if _is_beyond(m[1]) else ordinal(_value(m[1])),
        text,
        flags=re.IGNORECASE,
    )


def _decades(text: str) -> str:
    """ "the 1990s", "the '90s"."""

    def plural(match: re.Match) -> str:
        said = _count(match[1])
        return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"

    return re.sub(r"(?<![\w.,])'?(\d{1,3}0)'?s\b", plural, text)


def _between_numbers(text: str) -> str:
    """Read signs between two numbers: minus, times, a ratio's colon."""
    text = re.sub(r"(?<=\d) - (?=\.?\d)", " minus ", text)
    text = re.sub(r"(?<=\d)\s?\*\s?(?=\.?\d)", " times ", text)
    text = re.sub(r"(?<=\d):(?=\d)", " to ", text)
    return re.sub(r"(?<![\w)])[-\u2013](?=\.?\d)", "minus ", text)


def _numbers(text: str) -> str:
    """Read all remaining numbers. Several points, as in versions, are each said."""

    def said(match: re.Match) -> str:
        parts = match[0].split(".")
        words = _number(match[0]) if len(parts) < 3 else " point ".join(map(_count, parts))
        start, end = match.span()
        before, after = match.string[max(0, start - 1) : start], match.string[end : end + 1]
        return " " * before.isalpha() + words + " " * after.isalpha()

    return re.sub(rf"{_WHOLE}(?:\.\d+)*|(?<![\w.])\.\d+", said, text)


def _number(text: str) -> str:
    """Read a number such as "1,234.5", the decimals one by one."""
    whole, point, fraction = text.partition(".")
    if not point:
        return _count(whole)
    before = "" if not whole else _beyond(whole) if _is_beyond(whole) else cardinal(_value(whole))
    return f"{before} point {digits(fraction)}".strip()


def _count(text: str) -> str:
    """Read an integer; without commas it may be read as a year, in pairs."""
    if _is_beyond(text) or (text.startswith("0") and len(text) > 1):
        return _beyond(text)
    value = _value(text)
    return year(value) if len(text) == 4 and 1000 < value < 3000 else cardinal(value)


def _value(text: str) -> int:
    return int(text.replace(",", "") or 0)


def _is_one(text: str) -> bool:
    """Whether a number is exactly 1, as "1", "1.0" or "01"."""
    whole, _, fraction = text.partition(".")
    return whole.lstrip("0") == "1" and not fraction.strip("0")


def _is_beyond(text: str) -> bool:
    """Whether a number is too large for a name; Python itself refuses thousands of digits."""
    return len(text.replace(",", "").lstrip("0")) > len(str(numbers.LARGEST))


def _beyond(text: str) -> str:
    return digits(text.replace(",", ""))


def _signs(text: str) -> str:
    """Read signs by their names; "C#" is C sharp, "a.b" is a dot b."""
    text = re.sub(r"\b([A-Ga-g])#(?!\w)", r"\1 sharp", text)
    text = re.sub(r"(?<=[a-z])\.(?=[a-z])", " dot ", text)
    text = re.sub(r"(?<=[A-Za-z])[*_]+(?![A-Za-z])|(?<![A-Za-z*_])[*_]+(?=[A-Za-z])", "", text)
    return re.sub(f"[{re.escape(''.join(_SIGNS))}]", lambda m: f" {_SIGNS[m[0]]} ", text)


def _pauses(text: str) -> str:
    """Convert dashes, brackets, colons and dots in a row to pauses; keep one of several stops."""
    text = text.replace('"', " ")
    text = re.sub(r"(?<!\.)\.{2,}(?=\s*[a-z])", ",", text)
    text = re.sub(r"[;:\u2013\u2014()\[\]{}]", ",", text)
    text = re.sub(r"(?<![A-Za-z])-+|-+(?![A-Za-z])|--+", ",", text)
    text = re.sub(r"\s*[,.?!](?:[\s']*[,.?!])*", _strongest, text)
    text = re.sub(r"^(?:[\s']*,)+(?=.*[^\s,'])", "", text)
    return re.sub(r"\s+", " ", text).strip()


def _strongest(match: re.Match) -> str:
    return next(mark for mark in "?!.," if mark in match[0]) + " "


def _lone_a(text: str) -> str:
    """ "Vitamin A.": no article stands before a stop."""
    return re.sub(r"(?<![\w'-])[Aa](?=[,.?!])", "ay", text)


_RULES = (
    _characters,
    _lines,
    _addresses,
    _telephones,
    _groups,
    _ranges,
    _times,
    _multiples,
    _fractions,
    _money,
    _measures,
    _abbreviations,
    _initials,
    _ordinals,
    _decades,
    _between_numbers,
    _numbers,
    _signs,
    _pauses,
    _lone_a,
)
