#include "plugins/datasets/idx.h"

#include <fmt/format.h>
#include <xxhash.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <span>
#include <string>

#include "silc/error.h"

namespace silc::datasets {
namespace {

// Above this the sizes in a header are damage, not data.
constexpr int64_t kGreatestSize = int64_t{1} << 31;

std::vector<uint8_t> read_bytes(const std::filesystem::path& file, std::string_view remedy) {
  std::ifstream stream(file, std::ios::binary);
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (!stream || error) throw Error(fmt::format("{}: cannot be read. {}", file.string(), remedy));
  std::vector<uint8_t> bytes(size);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream) throw Error(fmt::format("{}: cannot be read to its end. {}", file.string(), remedy));
  return bytes;
}

// A file in memory, perhaps a gzip stream that is decompressed piece by piece.
class Content {
 public:
  Content(std::vector<uint8_t>& compressed, bool unpacked) : unpacked_(unpacked) {
    stream_.next_in = compressed.data();
    stream_.avail_in = static_cast<uInt>(compressed.size());
    constexpr int kGzipOnly = 16;
    ready_ = inflateInit2(&stream_, kGzipOnly + MAX_WBITS) == Z_OK;
  }
  ~Content() { inflateEnd(&stream_); }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  // False if the stream is damaged or ends before `target` is full.
  bool read(std::span<uint8_t> target) {
    if (unpacked_) {
      if (stream_.avail_in < target.size()) return false;
      std::copy_n(stream_.next_in, target.size(), target.begin());
      stream_.next_in += target.size();
      stream_.avail_in -= static_cast<uInt>(target.size());
      return true;
    }
    if (!ready_) return false;
    stream_.next_out = target.data();
    stream_.avail_out = static_cast<uInt>(target.size());
    while (stream_.avail_out > 0) {
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) break;
      if (status != Z_OK) return false;
    }
    return stream_.avail_out == 0;
  }

  // True if the stream ends here and its checksum is right.
  bool at_end() {
    if (unpacked_) return stream_.avail_in == 0;
    uint8_t beyond = 0;
    stream_.next_out = &beyond;
    stream_.avail_out = 1;
    return inflate(&stream_, Z_FINISH) == Z_STREAM_END && stream_.avail_out == 1;
  }

 private:
  bool unpacked_;
  z_stream stream_{};
  bool ready_ = false;
};

uint32_t big_endian(std::span<const uint8_t, 4> bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& file, int dimensions, std::string_view remedy) {
  const auto refuse = [&](const std::string& fault) {
    return Error(fmt::format("{}: {}. {}", file.string(), fault, remedy));
  };
  std::vector<uint8_t> compressed = read_bytes(file, remedy);
  IdxArray array;
  const auto begins = [&](uint8_t first, uint8_t second) {
    return compressed.size() >= 2 && compressed[0] == first && compressed[1] == second;
  };
  const bool unpacked = begins(0, 0);
  if (!unpacked && !begins(0x1f, 0x8b)) throw refuse("is no IDX file, packed with gzip or not");

  Content content(compressed, unpacked);
  std::array<uint8_t, 4> word{};
  constexpr uint32_t kUnsignedBytes = 0x08;
  const uint32_t expected = kUnsignedBytes << 8 | static_cast<uint32_t>(dimensions);
  if (!content.read(word)) throw refuse("is cut short or damaged in its header");
  if (const uint32_t magic = big_endian(word); magic != expected)
    throw refuse(fmt::format("has the magic number {:#010x} where {:#010x} is expected (IDX, bytes, {} dimensions)",
                             magic, expected, dimensions));
  int64_t size = 1;
  for (int d = 0; d < dimensions; ++d) {
    if (!content.read(word)) throw refuse("is cut short or damaged in its header");
    array.shape.push_back(big_endian(word));
    if (array.shape.back() == 0 || array.shape.back() > kGreatestSize / size)
      throw refuse(fmt::format("has an impossible size ({}) in its header", array.shape.back()));
    size *= array.shape.back();
  }
  // A damaged header must not make us ask for memory that the file cannot fill: deflate expands 1032 times at most.
  if (size > static_cast<int64_t>(compressed.size()) * (unpacked ? 1 : 1032))
    throw refuse("is cut short: its header promises more");
  array.values.resize(static_cast<std::size_t>(size));
  if (!content.read(array.values)) throw refuse(fmt::format("is cut short or damaged: {} bytes are promised", size));
  if (!content.at_end()) throw refuse("is cut short or damaged at its end");
  return array;
}

uint64_t hash_file(const std::filesystem::path& file, std::string_view remedy) {
  const std::vector<uint8_t> bytes = read_bytes(file, remedy);
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace silc::datasets
