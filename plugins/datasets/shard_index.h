// Where the samples of a WebDataset shard lie. Made by reading the archive's headers once, and kept in a file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace silc::datasets {

// What of a sample is used.
enum class Part : uint8_t { picture = 0, text = 1, json = 2, label = 3 };
inline constexpr std::size_t kParts = 4;

// One sample, as it lies in the index's file: 40 bytes.
struct ShardSample {
  static constexpr uint32_t kMissing = 0xFFFFFFFF;

  struct Place {
    uint32_t offset = kMissing;  // from `base`
    uint32_t size = 0;
  };

  uint64_t base = 0;  // of its first member's content in the archive
  std::array<Place, kParts> parts;

  [[nodiscard]] bool has(Part part) const { return place(part).offset != kMissing; }
  [[nodiscard]] const Place& place(Part part) const { return parts[static_cast<std::size_t>(part)]; }
  [[nodiscard]] uint64_t offset(Part part) const { return base + place(part).offset; }
};
static_assert(sizeof(ShardSample) == 40);

// A member's name as WebDataset reads it: the key is the path up to the first dot of the file's name, what follows is
// the extension, in lower case. Both empty where there is no such dot, or nothing in front of it.
std::pair<std::string, std::string> split_member_name(std::string_view name);

class ShardIndex {
 public:
  // Reads SHARD.silc-index, or the file of that shard in the cache folder ($XDG_CACHE_HOME/silc, else ~/.cache/silc),
  // if it fits the shard's size and time of change. Else reads the shard, and keeps the index in one of the two, the
  // first that can be written; in memory alone if none can. Throws silc::Error naming the shard.
  explicit ShardIndex(const std::filesystem::path& shard);
  ~ShardIndex();
  ShardIndex(ShardIndex&& other) noexcept;
  ShardIndex(const ShardIndex&) = delete;
  ShardIndex& operator=(const ShardIndex&) = delete;

  [[nodiscard]] std::span<const ShardSample> samples() const { return samples_; }
  // Of names, sizes and places of all that is in the shard, and of the shard's size and time.
  [[nodiscard]] uint64_t hash() const { return hash_; }
  [[nodiscard]] bool was_made() const { return made_; }  // now, rather than read

 private:
  void make(const std::filesystem::path& shard);
  bool load(const std::filesystem::path& file, uint64_t size, uint64_t time);
  [[nodiscard]] bool save(const std::filesystem::path& file, uint64_t size, uint64_t time) const;

  std::span<const std::byte> mapping_;  // of the index's file
  std::vector<ShardSample> own_;        // where there is none
  std::span<const ShardSample> samples_;
  uint64_t hash_ = 0;
  bool made_ = false;
};

// Indexes of all shards, in their order, those that are missing made by several threads.
std::vector<ShardIndex> open_indexes(const std::vector<std::string>& shards);

}  // namespace silc::datasets
