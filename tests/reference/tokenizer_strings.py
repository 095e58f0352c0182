"""Twenty thousand varied texts, always the same ones, on which tokenizers are compared (tests/reference/token_ids.py)."""
import html.entities
import random
import unicodedata

ENGLISH = """a photo of the small red Dress, worn by someone who isn't smiling; they've got 12 bags & 3 hats! I'd say "it's 50% off"
at 9:30am on 2024-05-17 — isn't that don't-miss? we'll see, I'm sure you're right (really). Chapter IV: file_name.jpg #tag @user
https://example.org/a?b=c&d=e the QUICK brown fox_jumps over lazy dogs… naïve café façade Übergröße jalapeño smörgåsbord""".split()
WORLD = [
    "Ein schöner Tag für größere Häuser", "Où est la bibliothèque, s'il vous plaît ?", "El niño comió piñas en mañana",
    "Привет, как дела? Это красная сумка", "Ένα μικρό κόκκινο φόρεμα ΟΔΥΣΣΕΥΣ", "日本語のテキストと漢字", "我喜欢这张照片。很好看!",
    "안녕하세요 세계 한국어", "مرحبا بالعالم صورة جميلة", "שלום עולם תמונה", "नमस्ते दुनिया तस्वीर", "สวัสดีชาวโลก", "Xin chào thế giới",
    "İstanbul ILIK ığdır", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "ﬁne ﬂuﬀy ofﬁce Ĳsselmeer ŉ ǆ", "ＬＯＵＤ　ＮＯＩＳＥＳ ｶﾀｶﾅ ﾊﾟ",
    "“curly” ‘quotes’ „low“ ‚single‘ ʼn", "H₂O x² ½ ⅷ ① ٣ ४ Ⅳ", "ᾳ ῼ ͅ ᾴ", "ǅ Ǆ ß ẞ ﬀ ﬆ ſ", "K Å Ω",  # Kelvin, Angstrom, Ohm
]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇯🇵", "❤️", "🧑🏿‍🚀", "☃", "✔", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "©", "®", "™"]
CODECS = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437"]
ASSIGNED = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]


def caption(r):
    words = r.choices(ENGLISH, k=r.randint(1, 18))
    return " ".join(r.choice([str, str.upper, str.title, str.lower])(w) if r.random() < 0.2 else w for w in words)


def world(r):
    return " ".join(r.choices(WORLD, k=r.randint(1, 3)))


def any_characters(r):
    base = r.choice([ASSIGNED, range(0x20, 0x250), range(0x250, 0x1000), range(0x1e00, 0x2c00), range(0x3000, 0xa000)])
    characters = [chr(c) for c in r.choices(base, k=r.randint(1, 40)) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    return "".join(c + " " * (r.random() < 0.2) for c in characters)


def entity(r):
    name = r.choice(NAMES)
    form = r.randrange(8)
    if form == 0:
        return f"&#{r.choice([r.randrange(0x300), r.randrange(0x110400), r.randrange(10**12)])};"
    if form == 1:
        return f"&#{r.choice('xX')}{r.choice([r.randrange(0x100), r.randrange(0x30000)]):x}{r.choice([';', '', ' '])}"
    if form == 2:
        return "&" + name.upper()
    if form == 3:
        return "&amp;" * r.randint(1, 3) + name
    if form == 4:
        return "&" + name.rstrip(";") + r.choice(["", "x", "=", ";;"])
    return "&" + name


NAMES = sorted(html.entities.html5)


def entities(r):
    return "".join(r.choice([entity(r), entity(r), caption(r)[:12], " ", "<b>", "&", "&#", "&#;", "&#xg;"]) if r.random() < 0.9
                   else world(r)[:6] for _ in range(r.randint(1, 8)))


def emoji(r):
    return "".join(r.choice(EMOJI) + r.choice(["", " ", "!", "a", "\ufe0f", "\u200d"]) for _ in range(r.randint(1, 12)))


def garble(text, codec, errors):
    return text.encode("utf-8").decode(codec, errors=errors)


def mojibake(r):
    text = r.choice([world(r), caption(r), r.choice(EMOJI), "voilà à la carte é", "“quoted” it’s – fine…", "schön £5 €20"])[:80]
    text = text[r.randrange(max(1, len(text) // 2)):]
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        text = garble(text, r.choice(CODECS), r.choice(["ignore", "replace"]))
        text = text.replace("\xa0", " ") if r.random() < 0.3 else text
        text = text.replace("\ufffd", "?") if r.random() < 0.2 else text
    return r.choice([text, caption(r) + " " + text, text + "\n" + world(r), text[: len(text) // 2], text + emoji(r)])


CLUES = "ÂÃâàÅÎÐØÙ€™œžŸ¢£¥©®°²³¹º»¼½¾¿¡§¶¨¬¯´¸\xa0\xad\x80\x81\x85\x92\x99ðïëêíìñóúü√∂≠‚Ä│┌╗▀░вЂГВРС ΒΓΞΟβ€ā€ × "


def almost_mojibake(r):
    return "".join(r.choice([r.choice(CLUES), r.choice(CLUES), r.choice("abcXYZ .,?!'")]) for _ in range(r.randint(1, 16)))


def controls(r):
    pieces = [chr(r.randrange(0x20)), "\x7f", chr(r.randrange(0x80, 0xa0)), "\r\n", "\r", "\u2028", "\u2029", "\x85", "\x1b[31m",
              "\x1b[0;1m", "\x1b[", "\ufeff", "\u206a", "\ufff9", "\ufffc", "\u200b", "\u202e", "\u00ad", "\u180e", "\x1c", "\x1b[٣m"]
    return "".join(r.choice(pieces) if r.random() < 0.5 else r.choice([caption(r)[:10], world(r)[:4]]) for _ in range(r.randint(1, 12)))


def decomposed(r):
    marks = [chr(c) for c in range(0x300, 0x370)]
    return unicodedata.normalize("NFD", world(r)) + "".join(r.choice("aeioucnszAEIOU") + "".join(r.choices(marks, k=r.randint(0, 3)))
                                                         for _ in range(r.randint(0, 10)))


def special(r):
    return " ".join(r.choice(["<start_of_text>", "<end_of_text>", "<END_OF_TEXT>", "<|endoftext|>", "</w>", "<unk>", "<pad>", "<s>", "</s>",
                              "<ſtart_of_text>", "it'ſ", "'S", "'LL", "a'll'", "<bos>", "<eos>", "▁", "<0x41>", "{}",
                              caption(r)[:9]]) + r.choice(["", "", "x", "!"]) for _ in range(r.randint(1, 6)))


def spaces(r):
    return "".join(r.choice(" \t\n\u00a0\u2003\u3000\u1680\u205f\x0b\x0c") for _ in range(r.randint(0, 8)))


def long_text(r):
    unit = r.choice([caption, world, any_characters, mojibake, entities, emoji, lambda r: "a", lambda r: "ab", lambda r: "!?", lambda r: "é"])(r)
    return (unit + r.choice(["", " "])) * r.randint(20, 400)


KINDS = {caption: 5000, world: 1500, any_characters: 3000, entities: 2500, emoji: 800, mojibake: 2500, almost_mojibake: 1500,
         controls: 1200, decomposed: 700, special: 800, spaces: 100, long_text: 400}


def strings():
    """(kind, text), 20 000 of them."""
    r = random.Random(20000)
    texts = [(kind.__name__, kind(r)) for kind, count in KINDS.items() for _ in range(count)]
    assert len(texts) == 20000
    return texts
