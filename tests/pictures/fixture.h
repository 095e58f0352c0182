// What tests/reference/pictures.py stored.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "files/safetensors.h"
#include "pictures/decode.h"

namespace silc::testing {

inline const SafetensorsFile& stored() {
  static const SafetensorsFile file(SILC_SOURCE_DIR "/tests/data/pictures.safetensors");
  return file;
}

inline std::vector<uint8_t> stored_bytes(const std::string& name) {
  const auto bytes = stored().tensors().at(name).bytes;
  const auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
  return {first, first + bytes.size()};
}

// A file of tests/data: "jpeg_444".
inline std::string stored_photo(const std::string& kind = "jpeg_420") {
  const std::vector<uint8_t> bytes = stored_bytes(kind + ".file");
  return {bytes.begin(), bytes.end()};
}

inline Image stored_picture(const std::string& name) {
  const std::vector<int64_t>& shape = stored().tensors().at(name).shape;
  return {.width = shape.at(1), .height = shape.at(0), .rgb = stored_bytes(name)};
}

// The greatest difference in grey levels.
inline int difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 256;
  int greatest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) greatest = std::max(greatest, std::abs(a.rgb[i] - b.rgb[i]));
  return greatest;
}

}  // namespace silc::testing
