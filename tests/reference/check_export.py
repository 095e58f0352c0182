"""Loads folders that silc checkpoint export wrote, with nothing but what is on this machine, and compares what they make of
pictures, texts and tokens with what silc makes of them.

    check_export.py open_clip|huggingface CASE...

Exit code 3 and the reason, where a package is missing. A case is a folder with

    export/               what silc wrote
    expected.safetensors  pixels [B, 3, S, S], tokens [B, T], image and text [B, E] (normalized), logits [B, B]
    texts.json            if it is there: {"texts": [...], "ids": [[...], ...]}, ids from the start token to the end
                          token; what stands behind that may be any padding
"""

import argparse
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

TOLERANCE = 1e-5  # of values of embeddings that are as long as one
LOGITS = 2e-4  # which are up to a hundred times as large


def load_packages(name):
    try:
        import safetensors.torch  # noqa: F401
        import torch  # noqa: F401

        if name == "open_clip":
            from stand_ins import stand_in_for_torchvision

            stand_in_for_torchvision()
            import open_clip

            return open_clip
        import transformers

        return transformers
    except (ImportError, RuntimeError) as fault:
        print(fault)
        sys.exit(3)


def of_open_clip(open_clip, folder, expected):
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    image = model.encode_image(expected["pixels"], normalize=True)
    text = model.encode_text(expected["tokens"], normalize=True)
    logits, _ = model.get_logits(expected["pixels"], expected["tokens"])
    return {"image": image, "text": text, "logits": logits}


def of_hugging_face(transformers, folder, expected):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    outputs = model(input_ids=expected["tokens"], pixel_values=expected["pixels"])
    return {
        "image": outputs.image_embeds / outputs.image_embeds.norm(dim=-1, keepdim=True),
        "text": outputs.text_embeds / outputs.text_embeds.norm(dim=-1, keepdim=True),
        "logits": outputs.logits_per_image,
    }


def ids_of(name, package, folder, texts, length):
    if name == "open_clip":
        return package.get_tokenizer(f"local-dir:{folder}")(texts).tolist()
    tokenizer = package.AutoTokenizer.from_pretrained(folder)
    return tokenizer(texts, padding="max_length", truncation=True, max_length=length)["input_ids"]


def check(name, package, case):
    """What is wrong, and how far values are apart."""
    import torch
    from safetensors.torch import load_file

    folder = str(case / "export")
    expected = load_file(case / "expected.safetensors")
    with torch.no_grad():
        values = (of_open_clip if name == "open_clip" else of_hugging_face)(package, folder, expected)
    apart = {key: (value - expected[key]).abs().max().item() for key, value in values.items()}
    faults = [
        f"{key} is apart by {distance:.3g}"
        for key, distance in apart.items()
        if not distance <= (LOGITS if key == "logits" else TOLERANCE)
    ]
    if not (case / "texts.json").exists():
        return faults, apart
    stored = json.loads((case / "texts.json").read_text())
    length = expected["tokens"].shape[1]
    for text, ids, row in zip(stored["texts"], stored["ids"], ids_of(name, package, folder, stored["texts"], length)):
        if len(row) != length or row[: len(ids)] != ids:
            faults.append(f"{text!r} has the ids {row}, for {ids}")
    return faults, apart


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=["open_clip", "huggingface"])
    parser.add_argument("cases", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    package = load_packages(arguments.package)
    faulty = False
    for case in arguments.cases:
        faults, apart = check(arguments.package, package, case)
        print(f"{case.name}: " + ", ".join(f"{key} {distance:.1e}" for key, distance in apart.items()) + " apart")
        for fault in faults:
            print(f"{case.name}: {fault}")
        faulty = faulty or bool(faults)
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
