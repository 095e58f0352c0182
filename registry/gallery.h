// What the models of a table's rows see: results by class, what is taken for what, and single test pictures with what
// each row makes of them. Of the scores in samples/ and of the galleries that silc-engine illustrate leaves in run
// folders. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace silc {

// A finished cell of a row.
struct GalleryCell {
  std::string row;
  int64_t seed = 0;
  std::filesystem::path folder;
  std::string weights = "student";  // whose scores the row's plain columns are
  std::string label = {};           // of the row, for people; empty: its name
};

struct GalleryRequest {
  std::vector<GalleryCell> cells;  // row by row, in the order in which they are to be shown
  std::string baseline;            // a row; empty: the first
  std::vector<std::string> words;  // texts to compare patches with, beside those of the dataset
};

// A page's pictures: at most this many bytes of JSON (about; what is too much is left out, and said).
inline constexpr std::size_t kGalleryBytes = 2'000'000;

// An engine takes a second or two a row; the scores of a cell take a few milliseconds.
inline constexpr std::size_t kMostShownRows = 40;
inline constexpr std::size_t kMostScoredCells = 600;

class Gallery {
 public:
  // Reads the scores, and chooses the pictures: the same for all rows, of one seed of each, the one that most rows
  // have. Scores that cannot be read, or are of other data than those of the first row that has them, are left out, as
  // notes of page() say.
  explicit Gallery(GalleryRequest request);
  ~Gallery();
  Gallery(Gallery&&) noexcept;

  // Whether any cell has scores that can be shown.
  [[nodiscard]] bool has_scores() const;

  // The question that silc-engine illustrate is to be asked, {"cells": […]}: cells whose gallery is missing, older than
  // the scores, damaged, or lacks a picture. No cells: everything is there.
  [[nodiscard]] nlohmann::json wishes() const;

  // What the page shows, as gallery.js reads it. `faults`: why a cell's gallery could not be made, by its folder as
  // wishes() names it; "" stands for all cells.
  //   {"rows": [{name, label, seed (that is shown), seeds, baseline}], "notes": [TEXT], "evaluations": [{
  //     name, kind ("classification", "segmentation", "retrieval"), dataset, split, samples, classes (null: not known),
  //     class_sizes [class] (null: not known), class_results [row][class], confusions [row]: [truth, prediction, count,
  //       truth, …], of pictures, or of pixels of a segmentation; all three not of retrieval; means and sums over the
  //       row's seeds
  //     chosen [{index, group}], pictures [chosen] {src, width, height, label, captions, mask},
  //     scores [row][chosen] {score, class}, probability [row] (run-folder.md), thumbnails {index: src},
  //     shown [row][chosen] {guesses [[class, cosine, p]], mask, found {captions [[TEXT, own]], pictures [index]}},
  //     maps {pictures, words, classes, rows: [{row, grid, terms, scales, patches, texts, error, words}]}}]}
  // Null stands for what a row, class or picture does not have.
  [[nodiscard]] nlohmann::json page(const std::map<std::string, std::string>& faults = {}) const;

 private:
  struct Impl;
  class Page;
  std::unique_ptr<Impl> impl_;
};

}  // namespace silc
