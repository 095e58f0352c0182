// silc-engine data: looking through datasets, without a model.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "plugin/catalogue.h"

namespace silc {

// `question`: {"do", "dataset", "options", "splits": [NAME], "threads"}, and what each takes; no splits: those of
// train, validation and test that there are, without those that are the first one again. Prints JSON lines by `emit`,
// at the end {"done": true}.
//
// "check" reads every sample of the splits:
//     {"begin": SPLIT, "samples"}   {"read": N} as it goes   {"unreadable": INDEX, "split", "reason"}
//     {"split", "figures": {"samples", "unreadable", "captions", "captions_each": [LEAST, MOST],
//      "letters": [LEAST, MEAN, MOST], "width": [LEAST, MOST], "height": [LEAST, MOST], "masks", "boxes",
//      "labels": {CLASS: COUNT}}}
//     {"duplicates": [[SPLIT, INDEX, FILE], …]} for each picture that is there more than once (pictures/copies.h);
//     FILE is "" where pictures are not in files
//
// "preview" ("count", "output"): a contact sheet of samples spread over the first split, with captions, masks and
// boxes, as a PNG: {"written": FILE, "samples"}.
//
// "train_tokenizer" ("output", "tokens", "clean"): a byte-pair encoding of the captions, as tokens/bpe.h reads it,
// packed where OUTPUT ends in ".gz": {"read": N} as it goes, {"written": FILE, "tokens", "captions", "words"}.
//
// "views" ("cells": texts of cell.toml, "count", "output"; no dataset): what training sees (engine/view_sheet.h), as a
// PNG: {"written": FILE, "samples"}.
//
// "pack" ("output", "per_shard", "skip"): the splits as WebDataset shards OUTPUT/SPLIT-000000.tar, with classes.txt
// where there are classes: {"shard": FILE, "samples"}, {"unreadable"} as above for what is left out.
//
// Throws silc::Error.
void use_data(const nlohmann::json& question, const Catalogue& catalogue,
              const std::function<void(const nlohmann::json& line)>& emit);

}  // namespace silc
