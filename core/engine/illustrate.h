// silc-engine illustrate: what the model of a finished cell makes of single pictures, for people to look at.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugin/catalogue.h"
#include "silc/dataset.h"

namespace silc {

inline constexpr int64_t kGalleryFormat = 1;

// `question`: {"cells": [{"folder", "weights", "evaluations": [{
//   "name",                        as in metrics.json
//   "samples": N,                  how many the evaluation had, as its scores in samples/ say
//   "pictures": [INDEX],           to be shown, with what the evaluator makes of them
//   "thumbnails": [INDEX],         to be shown small
//   "captions": [[INDEX, NUMBER]], texts wanted beyond those of `pictures`
//   "maps": [INDEX],               whose patches are to be compared with words
//   "words": [TEXT]}]}]},          to be compared with, beside the classes and the words of the dataset's captions
// all but name and samples may be missing. Each cell's last checkpoint is loaded, on the CPU, and what is asked goes
// into its folder as gallery/NAME-WEIGHTS.json, one object:
//   format, checkpoint             its file's name; "" of a cell that is evaluated only
//   evaluation, evaluator, dataset, split, weights, samples
//   classes: [NAME]
//   probability                    how guesses' p come of cosines: "softmax" or "sigmoid" with the objective's learnt
//                                  scale (and bias), "" where it has none, and there is no p
//   pictures: [{index, width, height, picture: "data:image/webp;base64,…", captions, label (or null),
//     guesses: [{class, score, p}]   the likeliest five
//     truth, predicted: {width, height, runs}}]   classes of pixels, row by row: base64 of runs, each a length (LEB128)
//                                  and a class, 255 where there is none; missing where there are no masks
//   thumbnails: {INDEX: "data:…"}
//   captions: [[INDEX, NUMBER, TEXT]]
//   maps: {words: [TEXT], classes: C, pictures: [INDEX], grid: [height, width], terms, scales, patches, texts, error}
//                                  patch_maps.h, bytes in base64; the first C words are the classes, by the evaluator's
//                                  prompts; null where the model gives no patch tokens, empty where none were asked for
// Pictures and masks are at most kGallerySide pixels long, thumbnails kThumbnailSide, none is enlarged.
// Prints JSON lines by `emit`: {"illustrated": FOLDER} or {"folder", "fault": MESSAGE} for each cell, at the end
// {"done": true}. Throws silc::Error for a question that makes no sense.
inline constexpr int64_t kGallerySide = 128;
inline constexpr int64_t kThumbnailSide = 48;
void illustrate(const nlohmann::json& question, int64_t threads, const Catalogue& catalogue,
                const std::function<void(const nlohmann::json& line)>& emit);

// The words of a dataset's captions that most samples have, at most `most`, in alphabetical order: letters and digits,
// lower-case where they are ASCII, three bytes long or more. Of large datasets, those of some thousand samples.
std::vector<std::string> caption_words(const Dataset& dataset, std::size_t most);

// Runs of equal bytes: lengths as LEB128, each followed by its byte.
std::vector<uint8_t> runs_of(const std::vector<uint8_t>& bytes);

}  // namespace silc
