// The IDX format of MNIST and its kin: a big-endian header (magic, one 32-bit size a dimension), then bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace silc::datasets {

struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> values;  // row by row
};

// Reads an IDX file of unsigned bytes, gzip-compressed or not, with `dimensions` dimensions. Throws silc::Error, which
// names the file and the fault and ends with `remedy`, where the file is missing, damaged, cut short or of another
// kind.
IdxArray read_idx(const std::filesystem::path& file, int dimensions, std::string_view remedy);

// XXH3 of the file as it lies on disk. Throws silc::Error in the same way.
uint64_t hash_file(const std::filesystem::path& file, std::string_view remedy);

}  // namespace silc::datasets
