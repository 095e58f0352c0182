// Small IDX files in a temporary folder, in the place of Fashion-MNIST.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/files/temporary_folder.h"

namespace silc::testing {

using silc::TemporaryFolder;

inline std::string idx_bytes(uint32_t magic, const std::vector<uint32_t>& shape, const std::vector<uint8_t>& values) {
  std::string bytes;
  const auto add = [&](uint32_t word) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 0xff);
  };
  add(magic);
  for (const uint32_t size : shape) add(size);
  bytes.append(values.begin(), values.end());
  return bytes;
}

inline void write_gzip(const std::filesystem::path& file, const std::string& bytes) {
  gzFile stream = gzopen(file.c_str(), "wb6");
  gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(stream);
}

inline std::string read_all(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_all(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// `count` pictures of label i % 10. Each is a filled rectangle whose brightness grey(i) tells the picture.
template <class Grey>
void write_garments(const std::filesystem::path& folder, const std::string& prefix, uint32_t count, Grey grey) {
  std::vector<uint8_t> pixels(std::size_t{count} * 28 * 28);
  std::vector<uint8_t> labels(count);
  for (uint32_t i = 0; i < count; ++i) {
    labels[i] = static_cast<uint8_t>(i % 10);
    for (std::size_t y = 2; y < 26; ++y)
      for (std::size_t x = 4; x < 24; ++x) pixels[(i * 28 + y) * 28 + x] = grey(i);
  }
  write_gzip(folder / (prefix + "-images-idx3-ubyte.gz"), idx_bytes(0x803, {count, 28, 28}, pixels));
  write_gzip(folder / (prefix + "-labels-idx1-ubyte.gz"), idx_bytes(0x801, {count}, labels));
}

}  // namespace silc::testing
