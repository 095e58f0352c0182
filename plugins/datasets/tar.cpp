#include "plugins/datasets/tar.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "silc/error.h"

namespace silc::datasets {
namespace {

constexpr uint64_t kBlock = 512;
// Of names and attributes in front of a file; more is damage.
constexpr uint64_t kLongestExtension = 1 << 20;

using Block = std::array<char, kBlock>;

std::string_view text_at(const Block& block, std::size_t at, std::size_t length) {
  const std::string_view field(block.data() + at, length);
  return field.substr(0, field.find('\0'));
}

// Octal digits, or binary in base 256 with the topmost bit set, as GNU writes sizes of 8 GiB and more.
std::optional<uint64_t> number_at(const Block& block, std::size_t at, std::size_t length) {
  const auto byte = [&](std::size_t i) { return static_cast<uint8_t>(block[at + i]); };
  uint64_t value = 0;
  if ((byte(0) & 0x80) != 0) {
    if (byte(0) != 0x80) return std::nullopt;
    for (std::size_t i = 1; i < length; ++i) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | byte(i);
    }
    return value;
  }
  std::string_view digits = text_at(block, at, length);
  while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
  while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
  for (const char c : digits) {
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool is_empty(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == 0; });
}

// The sum of a header's bytes, those of the sum itself as spaces.
bool has_its_checksum(const Block& block) {
  constexpr std::size_t kAt = 148;
  uint64_t sum = 8 * ' ';
  for (std::size_t i = 0; i < block.size(); ++i)
    if (i < kAt || i >= kAt + 8) sum += static_cast<uint8_t>(block[i]);
  return number_at(block, kAt, 8) == sum;
}

std::string name_in(const Block& block) {
  const std::string_view prefix = text_at(block, 257, 5) == "ustar" ? text_at(block, 345, 155) : "";
  const std::string_view name = text_at(block, 0, 100);
  // GNU's own format keeps dates where POSIX has the prefix.
  const bool posix = std::string_view(block.data() + 257, 6) == std::string_view("ustar\0", 6);
  return prefix.empty() || !posix ? std::string(name) : fmt::format("{}/{}", prefix, name);
}

class TarReader {
 public:
  explicit TarReader(const std::filesystem::path& archive)
      : archive_(archive.string()), descriptor_(open(archive.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw Error(fmt::format("{}: cannot be read ({})", archive_, std::strerror(errno)));
  }
  ~TarReader() { close(descriptor_); }
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  void visit(const std::function<void(const TarMember&)>& visit) {
    Block block;
    for (uint64_t at = 0; read(at, block.data(), kBlock) && !is_empty(block);) {
      if (!has_its_checksum(block)) throw damaged(at);
      std::optional<uint64_t> size = number_at(block, 124, 12);
      const char type = block[156];
      if (long_size_ && (type == '0' || type == 0 || type == '7')) size = long_size_;
      if (!size || *size > uint64_t{1} << 60) throw damaged(at);
      const uint64_t content = at + kBlock;
      if (type == 'L' || type == 'x')
        read_extension(type, content, *size, at);
      else if (type == '0' || type == 0 || type == '7')
        visit({.name = long_name_.empty() ? name_in(block) : long_name_, .offset = content, .size = *size});
      if (type != 'L' && type != 'x') {
        long_name_.clear();
        long_size_.reset();
      }
      const bool has_content = type != '1' && type != '2' && type != '5';
      at = content + (has_content ? (*size + kBlock - 1) / kBlock * kBlock : 0);
    }
  }

 private:
  [[nodiscard]] Error damaged(uint64_t at) const {
    return Error(
        fmt::format("{}: is no tar archive, or damaged, at byte {}; make it anew or leave it out", archive_, at));
  }

  bool read(uint64_t at, char* into, std::size_t size) const {
    return pread(descriptor_, into, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
  }

  void read_extension(char type, uint64_t at, uint64_t size, uint64_t header) {
    if (size > kLongestExtension) throw damaged(header);
    std::string text(size, '\0');
    if (!read(at, text.data(), size)) return;  // the archive ends here
    if (type == 'L')
      long_name_ = text.substr(0, text.find('\0'));
    else
      read_attributes(text, header);
  }

  // Lines "LENGTH KEY=VALUE", the length that of the whole line.
  void read_attributes(std::string_view text, uint64_t header) {
    while (!text.empty()) {
      std::size_t length = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto digits = static_cast<std::size_t>(end - text.data());
      if (error != std::errc() || length <= digits + 1 || length > text.size()) throw damaged(header);
      const std::string_view line = text.substr(digits + 1, length - digits - 2);
      text.remove_prefix(length);
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) throw damaged(header);
      const std::string_view value = line.substr(equals + 1);
      if (line.substr(0, equals) == "path") long_name_ = value;
      uint64_t size = 0;
      if (line.substr(0, equals) != "size") continue;
      if (std::from_chars(value.data(), value.data() + value.size(), size).ec != std::errc()) throw damaged(header);
      long_size_ = size;
    }
  }

  std::string archive_;
  int descriptor_;
  std::string long_name_;              // of the file that comes next
  std::optional<uint64_t> long_size_;  // likewise
};

}  // namespace

void visit_tar(const std::filesystem::path& archive, const std::function<void(const TarMember&)>& visit) {
  TarReader(archive).visit(visit);
}

std::string tar_name_at(int descriptor, uint64_t offset) {
  Block block;
  if (offset < kBlock || pread(descriptor, block.data(), kBlock, static_cast<off_t>(offset - kBlock)) != kBlock)
    return "?";
  return name_in(block);
}

}  // namespace silc::datasets
