"""Inflect-Nano's front-end: the original's rows in exact mode, our own readings in fixed mode."""

import json
import re
import unicodedata

import numpy as np
import pytest
from conftest import shared
from hypothesis import example, given
from hypothesis import strategies as st

from novasr_np.errors import WeightsError
from novasr_np.networks.inflect.text import (
    MAX_TOKENS,
    Pronouncer,
    TextError,
    dictionary,
    exact,
    fixed,
    g2p,
    numbers,
    pronounce,
    sentences,
    tables,
    to_ids,
)
from novasr_np.networks.inflect.text.tables import IDS, SYMBOLS

ROWS = 86
# Without g2p_en's network, whatever is installed here.
PLAIN = Pronouncer((dictionary.lookup, pronounce.added, pronounce.inflected))


def say(text, **options):
    return to_ids(text, pronouncer=PLAIN, **options)


@pytest.fixture(scope="module")
def rows():
    """The original's outputs. Its tagger, nltk's dictionary and g2p_en's network are not asked:
    what g2p_en returned stands in each row, under `oov`, and answers in their place."""
    found = json.loads(shared("golden/inflect_frontend.json").read_text("utf-8"))["rows"]
    assert len(found) == ROWS
    return found


@pytest.fixture(scope="module")
def upstream_network():
    path = g2p.installed()
    if path is None:
        pytest.skip("g2p_en, which brings the network's weights, is not installed")
    return g2p.load(path)


def g2p_en(row):
    """What g2p_en answered in a row, by the words as they reach it."""
    return {pronounce.reduced(word): phones for word, phones in row.get("oov", {}).items()}.get


@pytest.mark.parametrize("index", range(ROWS))
def test_exact_gives_the_originals_row(rows, index):
    row = rows[index]
    assert exact.clean(row["text"]) == row["cleaned"]
    assert exact.normalise(row["cleaned"]) == row["normalized"]
    pronouncer = Pronouncer((g2p_en(row),))
    if "error" in row:
        with pytest.raises(TextError, match="must not begin with '#' in exact mode, got '#hello'"):
            to_ids(row["text"], "exact", pronouncer)
        return
    assert exact.words(row["normalized"]) == row["words"]
    spoken = to_ids(row["text"], "exact", pronouncer)
    assert spoken.normalised == row["normalized"]
    assert spoken.words == tuple(row["words"])
    assert " ".join(spoken.phones) == row["phones"]
    assert list(spoken.tones) == row["tones"]
    assert spoken.phone_ids.tolist() == row["phone_ids"]
    assert spoken.tone_ids.tolist() == row["tone_ids"]
    assert spoken.language_ids.tolist() == row["lang_ids"]
    assert spoken.spelled == ()
    silent = [
        w for w, source in zip(row["words"], row["source"], strict=True) if source == "silent"
    ]
    assert list(spoken.unspoken) == silent


def test_exact_by_itself_in_the_rows_that_need_the_dictionary_alone(rows):
    plain = [row for row in rows if not row["depends"] and "error" not in row]
    assert len(plain) == 59
    for row in plain:
        assert to_ids(row["text"], "exact").phone_ids.tolist() == row["phone_ids"], row["text"]


def test_the_homographs_as_nouns(rows):
    for row in rows:
        for word in row.get("oov", {}).keys() & pronounce.HOMOGRAPHS.keys():
            assert list(pronounce.HOMOGRAPHS[word]) == row["oov"][word]


def test_a_silent_character_glued_to_a_word_makes_it_a_homograph():
    """Since the dictionary does not have it as it stands, g2p_en is asked, by its letters alone."""
    for text, phones in (
        ("used", "y uw1 z d"),
        ("used°", "y uw1 s t"),
        ("record", "r ah0 k ao1 r d"),
        ("record°", "r eh1 k er0 d"),
        ("read°", "r eh1 d"),
    ):
        assert to_ids(text, "exact").transcript == f"_ {phones} _"


# Characters whose category changed between Unicode 3.2 and 9.0.
_MOVED = set(
    "\u00a7\u00ad\u00b6\u0f14\u17b4\u17b5\u1885\u1886\u200b\u2308\u2309\u230a\u230b\u23b4\u23b5\u23b6"
    "\u302e\u302f"
)


def test_categories_are_unicodes():
    """For what Unicode 3.2 has, exactly its own; for the rest this Python's, in which few moved."""
    old = unicodedata.ucd_3_2_0.category
    controls = {c for c in tables.CONTROLS if old(c) != "Co"}
    for found, kinds in (
        (controls, {"Cc", "Cf"}),
        (tables.ACCENTS, {"Mn"}),
        (tables.PUNCTUATION, {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"}),
    ):
        before = {chr(c) for c in range(0x110000) if old(chr(c)) in kinds}
        assert {c for c in found if old(c) != "Cn"} ^ before <= _MOVED
        moved = [c for c in found if unicodedata.category(c) not in kinds]
        assert len(moved) < len(found) / 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\u0378b", ["[UNK]"]),  # not assigned in any version so far
        ("\U0001fae8", ["[UNK]"]),  # an emoji of Unicode 15
        ("a\U00011f5ab", ["[UNK]"]),  # a nonspacing mark of Unicode 16
        ("a\u2e52b", ["[UNK]"]),  # punctuation of Unicode 13
        ("a\ue123b", ["[UNK]"]),  # of private use
        ("a\ue000b", ["ab"]),  # the first of these
        ("a\u2066b\u2069", ["ab"]),  # isolates, of Unicode 6.3
        ("a\u0301\u1df5b", ["ab"]),  # marks, the second of Unicode 7
        ("a\u2e44b", ["a", "[UNK]", "b"]),  # punctuation of Unicode 9
    ],
)
def test_what_a_character_is_does_not_depend_on_python(text, words, monkeypatch):
    assert exact.words(text) == words

    def category(c):
        raise AssertionError(f"asked Python for the category of {c!r}")

    monkeypatch.setattr(unicodedata, "category", category)
    spoken = to_ids(text, "exact", PLAIN)
    assert spoken.words == tuple(words)


def test_the_network_guesses_as_the_original(rows, upstream_network):
    for row in rows:
        for word, source in zip(row.get("words", []), row.get("source", []), strict=True):
            if source == "neural":
                guess = upstream_network(pronounce.reduced(word))
                assert list(guess) == row["oov"][word], word


def test_exact_refuses_what_has_no_name():
    assert to_ids("9" * 36, "exact").normalised.startswith("nine hundred ninety-nine decillion")
    with pytest.raises(TextError, match="got one of 37 digits"):
        to_ids("1" + "0" * 36, "exact")
    assert to_ids("0" * 5000, "exact").normalised == "zero"
    with pytest.raises(TextError, match="one of 5000 digits"):
        to_ids("5" * 5000, "exact")


_LAKHS = "one million, two hundred thirty-four thousand, five hundred sixty-seven"
_NO_FRACTIONS = (
    "twenty-four seven, one hundred twenty over eighty, one slash two slash twenty twenty-four"
)
# What the original says -> what is meant. None: fixed is tested alone.
DIFFERENCES = [
    ("1:25", "one hundred twenty-five", "one twenty-five"),
    ("at 5:30 p.m. on", "at five hundred thirty p.m. on", "at five thirty p m on"),
    ("2:00", "two hundred", "two o'clock"),
    ("12:05 am", "twelve oh five am", "twelve oh five ay m"),
    ("23:59", "twenty-three fifty-nine", "twenty-three fifty-nine"),
    ("Meet at 5 PM. Then go.", None, "Meet at five p m. Then go."),
    ("3.14", "three point fourteen", "three point one four"),
    (".5", ".five", "point five"),
    ("1.2.3", "one point two.three", "one point two point three"),
    ("$3.50", "three dollars fifty cents", "three dollars fifty cents"),
    ("$3.5", "three dollars five cents", "three dollars fifty cents"),
    ("$0.01", "one cent", "one cent"),
    ("$0", "zero dollars", "zero dollars"),
    ("$1.5 million", "one dollar five cents million", "one point five million dollars"),
    ("$10k", "ten dollarsk", "ten thousand dollars"),
    ("€5", "€five", "five euros"),
    ("5 €", "five €", "five euros"),
    ("£20", "twenty pounds sterling", "twenty pounds"),
    ("$3.100", "three dollars one hundred dollar", "three point one zero zero dollars"),
    (
        "£3.200",
        "three pounds sterling two hundred pounds sterling",
        "three point two zero zero pounds",
    ),
    ("$1.01 or ¥2", "one dollar one cent or two yen", "one dollar one cent or two yen"),
    ("-$5", "minus five dollars", "minus five dollars"),
    ("1-2", "oneminus two", "one-two"),
    ("covid-19", "covidminus nineteen", "covid-nineteen"),
    ("5km", "fivekm", "five kilometers"),
    ("Q7", "qseven", "Q seven"),
    ("mp3", "mpthree", "mp three"),
    ("-5", "minus five", "minus five"),
    ("20\u201330", "twenty thirty", "twenty to thirty"),
    ("555-1234", None, "five five five, one two three four"),
    ("007", "seven", "zero zero seven"),
    ("1,500 men", "fifteen hundred men", "one thousand, five hundred men"),
    ("1500 men", "fifteen hundred men", "fifteen hundred men"),
    ("1990s and '90s", None, "nineteen nineties and nineties"),
    ("50%", "fifty%", "fifty percent"),
    ("Q & A", "q & a", "Q and A"),
    ("@home", "@home", "at home"),
    ("1 + 1 = 2", "one + one = two", "one plus one equals two"),
    ("#5", "#five", "number five"),
    ("C#", "c#", "C sharp"),
    ("20 °C", "twenty °c", "twenty degrees celsius"),
    ("Mrs. Jones", "misess jones", "missus Jones"),
    ("Main St. near", "main saint near", "Main street near"),
    ("the U.S. and", "the u.s. and", "the u s and"),
    ("Vitamin A.", "vitamin a.", "Vitamin ay."),
    ("(like these)", "(like these)", "like these,"),
    ("What?!", "what!", "What?"),
    ("Well… maybe", "well… maybe", "Well, maybe"),
    ("one line\nor two\n\nDone", "one line.or two.done", "one line or two. Done"),
    ("a@b.org", "a@b.org", "a at b dot org"),
    ("straße, æon", "straße, æon", "strasse, aeon"),
    ("½ or 2½", "½ or two½", "one half or two and one half"),
    ("1,000,000", "one million", "one million"),
    ("1 000 000 or 1\u202f000", None, "one million or one thousand"),
    ("1'500 or 12,34,567.", None, "one thousand, five hundred or " + _LAKHS + "."),
    ("$1 000 or 12 000km", None, "one thousand dollars or twelve thousand kilometers"),
    (
        "+44 20 7946 0958",
        None,
        "plus four four, two zero, seven nine four six, zero nine five eight",
    ),
    ("(800) 555 0199.", None, "eight zero zero, five five five, zero one nine nine."),
    ("01 23 45 67 89", None, "zero one, two three, four five, six seven, eight nine"),
    ("2 of 1/2", "two of one/two", "two of one half"),
    (
        "3 3/4, 3-1/2 or -⅜",
        None,
        "three and three quarters, three and one half or minus three eighths",
    ),
    ("1/2 kg or £2½", None, "one half of a kilogram or two and one half pounds"),
    ("24/7, 120/80, 1/2/2024", None, _NO_FRACTIONS),
    ("At 10:30: lunch", "at ten thirty, lunch", "At ten thirty, lunch"),
    ("10.30 am\u20135 p.m.", None, "ten thirty ay m to five p m."),
    ("10:30-11:45", None, "ten thirty to eleven forty-five"),
    ("$5\u201310 or 5%\u201310%", None, "five dollars to ten or five percent to ten percent"),
    ("4x or 1.5x", "fourx or one point fivex", "four times or one point five times"),
    ("4x4 or 1920 x 1080", None, "four by four or nineteen twenty by ten eighty"),
    ("4x + 1 and 0x1f", None, "four x plus one and zero x one f"),
]


@pytest.mark.parametrize(("text", "original", "meant"), DIFFERENCES)
def test_both_modes_read(text, original, meant):
    if original is not None:
        assert exact.normalise(exact.clean(text)) == original
    assert fixed.normalise(text) == meant


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("don't", "d ow n t"),
        ("It\u2019s", "ih t s"),
        ("John's", "jh aa n z"),
        ("Zoe's", "z ow iy z"),
        ("the dogs' bones", "dh ah d aa g z b ow n z"),
        ("'cause", "k ah z"),
        ("'quoted'", "k w ow t ah d"),
        ("y'all'd", "y ao l d"),
        ("octillion's IHS's XBK's", "aa k t ih l y ah n z ay ey ch eh s ih z eh k s b iy k ey z"),
        ("Plan A.", "p l ae n ey ."),
        ("a cat", "ah k ae t"),
        ("IBM", "ay b iy eh m"),
        ("septillionth emails", "s eh p t ih l y ah n th iy m ey l z"),
        ("well-known", "w eh l - n ow n"),
    ],
)
def test_words_that_apostrophes_join_are_one(text, phones):
    spoken = say(text)
    assert " ".join(spoken.phones[1:-1]) == phones
    assert not spoken.spelled
    assert not spoken.unspoken


def test_unknown_words_are_spelled_and_told():
    spoken = say("The blorf's zwix, IBM.")
    assert spoken.spelled == ("blorf's", "zwix")
    assert " ".join(spoken.phones).startswith("_ dh ah b iy eh l ow aa r eh f s z iy")
    guessing = PLAIN._replace(guess=lambda word: ("B", "AH1") if word == "blorf" else None)
    spoken = to_ids("The blorf's zwix, IBM.", pronouncer=guessing)
    assert spoken.spelled == ("zwix",)
    assert " ".join(spoken.phones).startswith("_ dh ah b ah z z iy")


def test_what_cannot_be_said_is_told():
    spoken = say("Emoji 😀 and 中文 and Ωmega,\x07 русский; שלום")
    assert spoken.unspoken == ("😀", "中文", "Ω", "\x07", "русский", "שלום")
    assert spoken.words[-1] == "שלום"
    assert "mega" in spoken.words


def test_every_word_that_numbers_and_signs_bring_has_a_sound():
    text = "1234567890" * 3 + " " + " ".join(f"{10**k}th 1{'0' * k}" for k in range(36))
    text += " " + " ".join(fixed._SIGNS) + ". 2.5" + " 2.5".join(fixed._UNITS)
    text += " " + " ".join(f"{sign}2.50 {sign}1.01 {sign}3 million" for sign in fixed._CURRENCIES)
    text += " " + ". ".join([*fixed._TITLES, *fixed._ENDINGS]) + ". " + " ".join("½⅓⅔¼¾⅕⅐⅛⅒↉")
    text += " https://a.b/c-d_e?f=g&h%20~i+j:80@k"
    spoken = say(text)
    assert {word.lower() for word in spoken.spelled} <= {"https"}
    assert spoken.unspoken == ()


def test_empty_text_is_two_pads():
    for text in ("", "  \n ", '"'):
        for mode in ("fixed", "exact"):
            spoken = to_ids(text.strip(), mode)
            assert spoken.phone_ids.tolist() == [0, 0, 0, 0, 0]
            assert spoken.tone_ids.tolist() == [0, 7, 0, 7, 0]
            assert spoken.language_ids.tolist() == [0, 2, 0, 2, 0]
    assert list(sentences(" \n\n ")) == []


TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=["L", "N", "S", "P", "M"]), max_size=30),
    st.text("aAbI 019.,:;-\u2013'\"$€%#@&/()?!…\n😀مpm st", max_size=60),
    st.lists(
        st.sampled_from(
            ["A", "a ", " I", ".", ",", "-", "'", "5", "$", "€", "%", "#", "1:30", "p.m.", " St. "]
        ),
        max_size=20,
    ).map("".join),
)


@given(TEXTS)
@example("5 . 5")
@example("a.a.")
@example("U.S.'")
def test_any_text_is_said_or_told(text):
    spoken = say(text)
    n = len(spoken.phones)
    for ids in (spoken.phone_ids, spoken.tone_ids, spoken.language_ids):
        assert ids.shape == (2 * n + 1,)
        assert ids.dtype == np.int64
        assert not ids[::2].any()
    assert [SYMBOLS[id] for id in spoken.phone_ids[1::2]] == list(spoken.phones)
    assert set(spoken.tone_ids[1::2]) <= set(range(7, 11))
    assert set(spoken.language_ids[1::2]) == {2}
    assert fixed.normalise(spoken.normalised) == spoken.normalised
    if any(unicodedata.category(c)[0] in "LN" for c in text.translate(fixed._PLAIN)):
        assert spoken.unspoken or re.search("[a-zA-Z]", "".join(spoken.phones[1:-1]))


@given(TEXTS)
def test_exact_mode_reads_any_text_or_says_why_not(text):
    try:
        spoken = to_ids(text, "exact")
    except TextError:
        assert "#" in text
        return
    assert len(spoken.phone_ids) == 2 * len(spoken.phones) + 1


def test_each_letter_number_and_sign_is_said_or_told():
    """Every seventh of the first plane's. What only marks quotes and emphasis may be dropped."""
    chosen = [chr(c) for c in range(0x10000) if unicodedata.category(chr(c))[0] in "LNS"][::7]
    for c in chosen:
        spoken = say(c)
        if spoken.normalised == "'":
            continue
        assert spoken.unspoken or len(spoken.phones) > 2, f"U+{ord(c):04X}"


@pytest.mark.parametrize("digits", [36, 37, 100, 5000])
def test_numbers_without_a_name_are_read_digit_by_digit(digits):
    said = fixed.normalise("7" * digits)
    assert said.startswith("seven hundred seventy-seven decillion" if digits == 36 else "seven sev")
    assert fixed.normalise("$" + "7" * digits).endswith("seven dollars")
    assert fixed.normalise("7" * digits + "th").endswith("seventh")
    assert fixed.normalise("7" * digits + ".5km").endswith("seven point five kilometers")


@pytest.mark.parametrize(
    "unit",
    [
        *"1a-*_'.é😀#",
        "the cat sat, ",
        "a@",
        "1,",
        "1.",
        "...",
        "A. ",
        "x'",
        " \n",
        "1 - ",
        "$1",
        "a-",
    ],
)
def test_ten_thousand_characters(unit):
    text = (unit * 10_000)[:10_000]
    for sentence in sentences(text, pronouncer=PLAIN):
        assert len(say(sentence).phone_ids) <= MAX_TOKENS


@given(TEXTS, st.integers(64, 300))
def test_sentences_lose_nothing(text, most):
    whole = say(text * 5)
    parts = [say(part) for part in sentences(text * 5, most, PLAIN)]
    assert all(len(part.phone_ids) <= most for part in parts)
    assert [w for part in parts for w in part.unspoken] == list(whole.unspoken)
    assert _letters(parts) == _letters([whole])  # a long word may be cut within


def _letters(spoken):
    words = "".join(word for one in spoken for word in one.words)
    return words.replace("-", "").replace("'", "")


def test_sentences_end_where_they_should():
    text = 'Dr. Brown paid $3.50 at 5 p.m. on Main St. today. "Why?" he asked... No!\n\nThe end'
    assert list(sentences(text)) == [
        "doctor Brown paid three dollars fifty cents at five p m on Main street today.",
        "Why?",
        "he asked.",
        "No!",
        "The end",
    ]


def test_long_sentences_are_cut_at_pauses_then_at_words():
    clause = "the cat sat on the mat and looked at the moon"
    parts = list(sentences(", ".join([clause] * 8) + "."))
    assert len(parts) > 1
    assert all(part.endswith("moon,") for part in parts[:-1])
    assert " ".join(parts) == ", ".join([clause] * 8) + "."
    uneven = f"{' '.join([clause] * 2)}, {' '.join([clause] * 3)}"
    assert list(sentences(uneven)) == [" ".join([clause] * 2) + ",", " ".join([clause] * 3)]
    parts = list(sentences(" ".join([clause] * 8)))
    assert len(parts) > 1
    assert " ".join(parts) == " ".join([clause] * 8)
    assert len(list(sentences("z" * 1000, pronouncer=PLAIN))) > 1


def test_a_long_text_in_parts_is_read_as_its_sentences_are():
    said = (
        'Dr. Brown paid $1,000.50 at 5 p.m. on Main St. today. "Why 3 3/4?" he asked Mr. Ng... No!'
    )
    for between in ("\n\n", " "):  # the second text may be cut after "today." alone
        text = between.join([said] * 200)
        want = list(sentences(said)) * 200
        assert list(sentences(text)) == want
        assert list(sentences(text[i : i + 7] for i in range(0, len(text), 7))) == want


@pytest.mark.parametrize(
    "part", ["a", "7", "1,000,", "\U0001f600", "e\u0301", " ", "\n", "no stop "]
)
def test_an_endless_text_is_spoken_as_it_comes(part):
    """The end is never waited for, and nothing is lost on the way to it."""

    def parts():
        for _ in range(12):
            yield part * (1000 // len(part))
        yield "Now.\n\n" + "Then. " * 3000
        raise AssertionError("more was read than needed")

    found = []
    for sentence in sentences(parts(), pronouncer=PLAIN):
        assert len(say(sentence).phone_ids) <= MAX_TOKENS
        found.append(sentence)
        if sentence.startswith("Then"):
            break
    said = " ".join(found).partition("Now")[0]
    if part == "7":
        assert said.count("seven") == 12_000
    elif part != "1,000,":
        kept = re.sub("[^a-z\U0001f600]", "", part)
        assert not kept or said.replace(" ", "").count(kept) == 12 * (1000 // len(part))


def test_bad_arguments():
    with pytest.raises(TypeError, match="text must be a str, got bytes"):
        to_ids(b"Hello")
    with pytest.raises(ValueError, match="mode must be one of fixed, exact, got 'other'"):
        to_ids("Hello", "other")
    with pytest.raises(TypeError, match="text must be a str or strings, got NoneType"):
        sentences(None)
    with pytest.raises(TypeError, match="a part of a text must be a str, got int"):
        list(sentences([5]))
    with pytest.raises(TypeError, match=r"max_tokens must be an int, got 2\.5"):
        sentences("Hello", 2.5)
    with pytest.raises(ValueError, match="max_tokens must be at least 64, got 5"):
        sentences("Hello", 5)


@pytest.mark.parametrize(
    ("number", "words", "th"),
    [
        (0, "zero", "zeroth"),
        (12, "twelve", "twelfth"),
        (40, "forty", "fortieth"),
        (101, "one hundred one", "one hundred and first"),
        (1005, "one thousand five", "one thousand and fifth"),
        (1_113, "one thousand, one hundred thirteen", "one thousand, one hundred and thirteenth"),
        (-7, "minus seven", "minus seventh"),
        (10**6 + 200, "one million, two hundred", "one million, two hundredth"),
        (10**33, "one decillion", "one decillionth"),
    ],
)
def test_number_words(number, words, th):
    assert numbers.cardinal(number) == words
    assert numbers.ordinal(number) == th


def test_numbers_beyond_the_names():
    with pytest.raises(TextError, match=r"at most 10\^36 - 1, got about 10\^36"):
        numbers.cardinal(10**36)
    with pytest.raises(TextError, match="from 1001 to 2999, got 3000"):
        numbers.year(3000)


def test_the_packaged_dictionary_is_the_published_one():
    source = shared("upstream/inflect/cmudict.rep").read_text("ascii")
    entries = dictionary.parse(source)
    assert dictionary._entries() == entries
    assert dictionary.unpack(dictionary.pack(entries)) == entries
    published = dict(line.split("  ", 1) for line in source.splitlines()[48:])
    plain = {word for word in published if re.fullmatch("[A-Z0-9]+", word)}
    assert len(plain) == 112_152
    assert plain <= entries.keys()
    for word in ("HELLO", "DON'T", "A", "ZZZZ", "READ", "C1"):
        want = [phone for phone in published.get(word, "").split() if phone != "-"]
        assert list(dictionary.lookup(word) or ()) == want
    assert dictionary.lookup("READ(2)") is None


def test_no_word_of_the_dictionary_is_longer_than_a_sentence_may_be():
    most = max(len(phones) for phones in dictionary._entries().values())
    assert 2 * (most + 2) + 1 <= 64


def test_every_phone_of_the_dictionary_has_a_symbol():
    assert {"UNK", "_", "V", "ih", ".", "-"} <= IDS.keys()
    from novasr_np.networks.inflect.text.speak import symbol  # noqa: PLC0415

    symbols = {phone: symbol(phone) for phone in dictionary._PHONES}
    unknown = {phone for phone, (name, _) in symbols.items() if name == "UNK"}
    assert unknown == {"UW"}
    assert symbols["OW1"] == ("ow", 2)
    assert symbols["V"] == ("V", 0)
    assert symbols["IH"] == ("ih", 0)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "checkpoint20.npz"
    np.savez(path, enc_emb=np.zeros((29, 256), np.float32))
    with pytest.raises(WeightsError, match=r"not checkpoint20\.npz of g2p_en 2\.1\.0: sha256"):
        g2p.load(path)
    with pytest.raises(WeightsError, match="names or shapes differ"):
        g2p.Network({"enc_emb": np.zeros((29, 256), np.float32)})


def test_a_network_of_drawn_weights_speaks():
    rng = np.random.default_rng(0)
    drawn = {
        name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in g2p.TENSORS.items()
    }
    network = g2p.Network(drawn)
    assert sum(array.size for array in drawn.values()) == 834_890
    assert network("blorf") == network("BLORF") != network("zwix")
    assert len(network("blorf")) <= 20


def test_weights_of_an_installed_package_are_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "g2p_en"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('not to be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert g2p.installed() is None
    (package / g2p.FILE).write_bytes(b"")
    assert g2p.installed() == package / g2p.FILE
