// The drawings of Debian's openclipart-png: what is known of each, and how it looks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pictures/cutout.h"
#include "silc/dataset.h"

namespace silc::datasets {

struct Drawing {
  std::string_view path;         // from the folder of PNGs, without ".png"
  int64_t label = kNoLabel;      // index into the classes of classes/openclipart.txt
  int64_t group = 0;             // drawings that are nearly the same, or of a series, share it
  std::string_view split;        // "train", "validation", "test"; "none": near one of those two, and of no class
  std::string_view title;        // as its author wrote it; may be empty, as the following
  std::string_view keywords;     // separated by ", "
  std::string_view description;  // a sentence or several
};

// The table plugins/datasets/openclipart/drawings.tsv, which is part of the library.
const std::vector<Drawing>& drawings();

// Drawings as pixels, reduced to `longest` pixels at most, kept for the next time. For several threads at once.
class CutoutStore {
 public:
  CutoutStore(std::filesystem::path folder, int64_t longest) : folder_(std::move(folder)), longest_(longest) {}

  // Throws silc::Error naming the file that cannot be read.
  [[nodiscard]] std::shared_ptr<const Cutout> get(std::size_t drawing);

 private:
  std::filesystem::path folder_;
  int64_t longest_;
  std::mutex mutex_;
  // Guarded by mutex_: those used last come first, and the last are given up where they take more than 256 MB.
  std::list<std::pair<std::size_t, std::shared_ptr<const Cutout>>> kept_;
  std::unordered_map<std::size_t, decltype(kept_)::iterator> places_;
  std::size_t bytes_ = 0;
};

// Splits of a dataset that are made in one process share what they decode.
std::shared_ptr<CutoutStore> shared_cutouts(const std::filesystem::path& folder, int64_t longest);

}  // namespace silc::datasets
