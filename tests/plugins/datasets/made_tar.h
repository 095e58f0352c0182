// Tar archives in memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace silc::testing {

class MadeTar {
 public:
  MadeTar& add(const std::string& name, const std::string& content) { return add_entry(name, content, '0'); }
  // With the name in an entry of its own, as GNU tar writes long ones.
  MadeTar& add_gnu_long(const std::string& name, const std::string& content) {
    add_entry("././@LongLink", name + '\0', 'L');
    return add_entry(name.substr(0, 100), content, '0');
  }
  // With the name among POSIX's attributes.
  MadeTar& add_pax(const std::string& name, const std::string& content) {
    const std::string rest = " path=" + name + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    add_entry("PaxHeaders/x", std::to_string(length) + rest, 'x');
    return add_entry(name.substr(0, 100), content, '0');
  }

  [[nodiscard]] std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

  // Gives whatever lies where headers begin the checksum that it should have.
  static std::string with_checksums(std::string bytes) {
    for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512)
      if (bytes.compare(at + 257, 5, "ustar") == 0) sign(bytes, at);
    return bytes;
  }

 private:
  MadeTar& add_entry(const std::string& name, const std::string& content, char type) {
    const std::size_t at = bytes_.size();
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, 8, std::string("0000644\0", 8));
    char size[16];
    std::snprintf(size, sizeof size, "%011lo", static_cast<unsigned long>(content.size()));
    header.replace(124, 12, std::string(size, 12));
    header[156] = type;
    header.replace(257, 8,
                   std::string("ustar\0"
                               "00",
                               8));
    bytes_ += header;
    sign(bytes_, at);
    bytes_ += content;
    bytes_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }

  static void sign(std::string& bytes, std::size_t at) {
    bytes.replace(at + 148, 8, "        ");
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += static_cast<uint8_t>(bytes[at + i]);
    char text[16];
    std::snprintf(text, sizeof text, "%06o", sum);
    bytes.replace(at + 148, 8, std::string(text, 7) + ' ');
  }

  std::string bytes_;
};

}  // namespace silc::testing
