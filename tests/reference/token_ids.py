"""Compares tokenizers with those of other programs, text by text: with open_clip's SimpleTokenizer (open_clip_torch 3.3.0,
ftfy 6.3.1) and transformers' SiglipTokenizer and Siglip2Tokenizer.

    ninja -C build/release tokenizers_encode
    python tests/reference/token_ids.py clip build/release/tests/tokenizers_encode [VOCABULARY]
    python tests/reference/token_ids.py sentencepiece build/release/tests/tokenizers_encode

SentencePiece is that of the library silc is linked with, 0.1.97: another breaks ties in another way.

"models" trains the two small models of SentencePiece in tests/data, with the settings of those of SigLIP and SigLIP 2; "store"
writes tests/data/tokenizers.json, ids of some of the texts, with the vocabulary and the models there.
"""
import collections
import gzip
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from tokenizer_strings import strings

DATA = pathlib.Path(__file__).parents[1] / "data"
LENGTH = 24  # of the rows that are stored


def encoded(program, tokenizer, options, length, texts):
    answer = subprocess.run([program, tokenizer, json.dumps(options), str(length)], input=json.dumps(texts).encode(), check=True,
                            stdout=subprocess.PIPE)
    return json.loads(answer.stdout)


def report(title, texts, ours, theirs):
    total, wrong, examples = collections.Counter(), collections.Counter(), []
    for (kind, text), a, b in zip(texts, ours, theirs, strict=True):
        total[kind] += 1
        if a != b:
            wrong[kind] += 1
            examples.append((kind, text, a, b))
    print(f"{title}: {sum(wrong.values())} of {sum(total.values())} differ", dict(wrong))
    for kind, text, a, b in sorted(examples, key=lambda e: len(e[1]))[:5]:
        print(f"  {kind} {text!r}\n    silc  {a[:24]}\n    other {b[:24]}")
    return sum(wrong.values())


def clip(program, vocabulary=None):
    from open_clip.tokenizer import SimpleTokenizer, default_bpe
    texts = strings()
    faults = 0
    for clean in ("lower", "whitespace", "canonicalize"):
        theirs = SimpleTokenizer(bpe_path=vocabulary or default_bpe(), clean=clean)
        for length in (77, 16, 2000):
            rows = encoded(program, "clip_bpe", {"vocabulary": vocabulary or default_bpe(), "clean": clean}, length,
                           [text for _, text in texts])
            expected = [theirs(text, context_length=length)[0].tolist() for _, text in texts]
            faults += report(f"clean = {clean}, {length} tokens", texts, rows, expected)
    return faults


def train_models():
    import sentencepiece
    r = random.Random(1)
    corpus = [text for kind, text in strings() if kind in ("caption", "world", "emoji")]
    r.shuffle(corpus)
    common = {"sentence_iterator": None, "num_threads": 1, "minloglevel": 2, "hard_vocab_limit": False}
    # c4_en, by which SigLIP reads: unigram, NFKC, no start token.
    siglip = {"model_type": "unigram", "vocab_size": 600, "normalization_rule_name": "nmt_nfkc", "pad_id": 0, "eos_id": 1,
              "unk_id": 2, "bos_id": -1, "character_coverage": 0.995}
    # Gemma's, by which SigLIP 2 reads: BPE of the text as it is, bytes for what is in no token.
    gemma = {"model_type": "bpe", "vocab_size": 900, "normalization_rule_name": "identity", "pad_id": 0, "eos_id": 1, "bos_id": 2,
             "unk_id": 3, "byte_fallback": True, "add_dummy_prefix": False, "remove_extra_whitespaces": False,
             "split_digits": True, "character_coverage": 0.99, "allow_whitespace_only_pieces": True,
             "user_defined_symbols": ["<mask>", "<start_of_turn>", "\n\n", "▁▁"]}
    for name, settings in {"siglip": siglip, "gemma": gemma}.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(**{**common, **settings, "sentence_iterator": iter(corpus), "model_writer": model})
        (DATA / f"sentencepiece_{name}.model").write_bytes(model.getvalue())
        print(name, len(model.getvalue()), "bytes")


def lower_ascii(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def rows_of(model, texts, length, padding, clean):
    """As big_vision: the model's own ids, the end token "sticky", then padding."""
    def row(text):
        ids = model.encode(clean(text))[: length - 1] + [model.eos_id()]
        return ids + [padding] * (length - len(ids))
    return [row(text) for _, text in texts]


def sentencepiece_models(program):
    import sentencepiece
    from transformers import SiglipTokenizer
    from open_clip.tokenizer import get_clean_fn
    texts = strings()
    plain = [text for _, text in texts]
    faults = 0
    for name, padding in (("siglip", "end"), ("gemma", "model")):
        file = str(DATA / f"sentencepiece_{name}.model")
        model = sentencepiece.SentencePieceProcessor(model_file=file)
        id_of = {"end": model.eos_id(), "model": model.pad_id()}[padding]
        cleanings = {"none": lambda t: t, "lower_ascii": lower_ascii, "canonicalize": get_clean_fn("canonicalize")}
        for clean, function in cleanings.items():
            ours = encoded(program, "sentencepiece", {"model": file, "clean": clean, "padding": padding}, 64, plain)
            faults += report(f"{name}, clean = {clean}, sentencepiece {sentencepiece.__version__}", texts, ours,
                             rows_of(model, texts, 64, id_of, function))
    file = str(DATA / "sentencepiece_siglip.model")
    theirs = SiglipTokenizer(vocab_file=file)
    ours = encoded(program, "sentencepiece", {"model": file, "clean": "without_punctuation"}, 64, plain)
    faults += report("SiglipTokenizer", texts, ours, [theirs(t, max_length=64, padding="max_length", truncation=True).input_ids
                                                      for t in plain])
    theirs = t5_tokenizer(file)
    ours = encoded(program, "sentencepiece", {"model": file, "clean": "canonicalize"}, 64, plain)
    faults += report("T5Tokenizer, as open_clip reads for SigLIP", texts, ours, [theirs(t) for t in plain])
    file = str(DATA / "sentencepiece_gemma.model")
    ours = encoded(program, "sentencepiece", {"model": file, "clean": "lower_case", "padding": "model"}, 64, plain)
    theirs = siglip2_tokenizer(file)
    faults += report("Siglip2Tokenizer", texts, ours, [theirs(t) for t in plain])
    return faults


def t5_tokenizer(file):
    """What open_clip's HFTokenizer comes to for ViT-B-16-SigLIP: its cleaning, and transformers' T5Tokenizer."""
    from open_clip.tokenizer import get_clean_fn
    from transformers import T5TokenizerFast
    clean = get_clean_fn("canonicalize")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(file, pathlib.Path(folder) / "spiece.model")
        tokenizer = T5TokenizerFast.from_pretrained(folder, extra_ids=0, legacy=False)

    def row(text):
        ids = tokenizer(clean(text), max_length=64, truncation=True).input_ids
        return ids + [1] * (64 - len(ids))
    return row


def siglip2_tokenizer(file):
    """transformers' Siglip2Tokenizer with the model's vocabulary and merges, no start token and an end token."""
    from transformers import AddedToken, Siglip2Tokenizer
    from transformers.convert_slow_tokenizer import SentencePieceExtractor
    from tokenizers.models import BPE
    extracted = SentencePieceExtractor(file).extract(BPE)
    tokenizer = Siglip2Tokenizer(vocab=extracted["vocab"], merges=extracted["merges"])
    tokenizer.add_tokens([AddedToken(str(token), normalized=False) for token in extracted["additional_special_tokens"]])

    def row(text):
        ids = tokenizer(text, add_special_tokens=False).input_ids[:63] + [1]
        return ids + [0] * (64 - len(ids))
    return row


def train_naively(corpus, merges):
    """A byte-pair encoding of a few words, pair by pair: what silc's trainer must come to as well."""
    from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
    tokenizer, clean = SimpleTokenizer(), get_clean_fn("lower")
    words = collections.Counter(word for text in corpus for word in tokenizer.pat.findall(clean(text))
                                if word not in ("<start_of_text>", "<end_of_text>"))
    spelled = {}
    for word, count in words.items():
        letters = [tokenizer.byte_encoder[b] for b in word.encode()]
        spelled[tuple([*letters[:-1], letters[-1] + "</w>"])] = count
    tokens = {v + end for v in tokenizer.byte_encoder.values() for end in ("", "</w>")}
    lines = ["#version: 0.2"]
    while len(lines) <= merges:
        pairs = collections.Counter()
        for word, count in spelled.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count if "".join(pair) not in tokens else 0
        (left, right), count = min(pairs.items(), key=lambda p: (-p[1], p[0][0].encode(), p[0][1].encode()))
        if count < 2:
            break
        lines.append(f"{left} {right}")
        tokens.add(left + right)
        merged = {}
        for word, n in spelled.items():
            result, i = [], 0
            while i < len(word):
                here = word[i:i + 2] == (left, right)
                result.append(left + right if here else word[i])
                i += 2 if here else 1
            merged[tuple(result)] = merged.get(tuple(result), 0) + n
        spelled = merged
    return "\n".join(lines)


def store():
    import sentencepiece
    from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
    r = random.Random(3)
    short = [(kind, text) for kind, text in strings() if len(text.encode()) <= 160]
    corpus = [text for kind, text in r.sample(short, 1200) if kind in ("caption", "world", "emoji", "special")]
    texts = ["", " ", *(text for _, text in r.sample(short, 400))]
    fixture = {"corpus": corpus, "vocabulary": train_naively(corpus, 300), "texts": texts, "length": LENGTH, "ids": {}}
    packed = DATA / "clip_vocabulary.txt.gz"
    packed.write_bytes(gzip.compress(fixture["vocabulary"].encode(), mtime=0))
    fixture["ids"] |= {f"clip_bpe {clean}": [SimpleTokenizer(str(packed), clean=clean)(t, LENGTH)[0].tolist() for t in texts]
                       for clean in ("lower", "whitespace", "canonicalize")}
    plain = [("", text) for text in texts]
    for name, padding in (("siglip", 1), ("gemma", 0)):
        model = sentencepiece.SentencePieceProcessor(model_file=str(DATA / f"sentencepiece_{name}.model"))
        for clean, function in {"lower_ascii": lower_ascii, "canonicalize": get_clean_fn("canonicalize")}.items():
            fixture["ids"][f"{name} {clean}"] = rows_of(model, plain, LENGTH, padding, function)
    (DATA / "tokenizers.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what in ("models", "store"):
        {"models": train_models, "store": store}[what]()
    else:
        program, *rest = rest
        sys.exit(1 if {"clip": clip, "sentencepiece": sentencepiece_models}[what](program, *rest) else 0)
