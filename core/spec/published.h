// Numbers that others published, quoted in TOML (experiments/published/*.toml). No LibTorch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace silc {

struct PublishedValue {
  std::string column;  // "EVALUATOR/DATASET/METRIC", as tables name a measured metric with its dataset
  double percent = 0;  // as printed
};

struct PublishedRow {
  std::string name;
  std::string setting;  // model, data and budget behind the numbers
  std::string source;   // where they were read
  std::vector<PublishedValue> values;
};

struct Published {
  std::string title;
  std::vector<PublishedRow> rows;
};

// Throws SpecError with file:line:column.
Published read_published(const std::filesystem::path& file);

}  // namespace silc
