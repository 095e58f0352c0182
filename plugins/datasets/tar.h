// Reading tar archives: ustar with GNU's and POSIX's (pax) long names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace silc::datasets {

struct TarMember {
  std::string name;
  uint64_t offset = 0;  // of its content
  uint64_t size = 0;    // as its header says; the archive may end before
};

// Visits the files in an archive in order; folders and links are passed over. Reads headers alone. An archive that ends
// within a file's content, or without the two empty blocks that end it, is visited as far as it goes. Throws
// silc::Error naming the archive and the place where a header is damaged.
void visit_tar(const std::filesystem::path& archive, const std::function<void(const TarMember& member)>& visit);

// The name in the header in front of a file's content, for messages; "?" where it cannot be read.
std::string tar_name_at(int descriptor, uint64_t offset);

}  // namespace silc::datasets
