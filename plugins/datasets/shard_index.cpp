#include "plugins/datasets/shard_index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "plugins/datasets/files.h"
#include "plugins/datasets/tar.h"
#include "silc/error.h"

namespace silc::datasets {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'s', 'i', 'l', 'c', 't', 'a', 'r', '1'};

struct Header {
  char magic[8];
  uint64_t shard_size, shard_time;  // bytes; nanoseconds
  uint64_t count;                   // samples that follow
  uint64_t hash;                    // ShardIndex::hash()
  uint64_t check;                   // of what stands before
};
static_assert(sizeof(Header) % alignof(ShardSample) == 0);

uint64_t check_of(const Header& header) { return XXH3_64bits(&header, offsetof(Header, check)); }

std::optional<Part> part_of(std::string_view extension) {
  if (extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp") return Part::picture;
  if (extension == "txt") return Part::text;
  if (extension == "json") return Part::json;
  if (extension == "cls") return Part::label;
  return std::nullopt;
}

// Puts members that follow each other and have one key together, as WebDataset does.
class Grouping {
 public:
  explicit Grouping(const fs::path& shard) : shard_(shard.string()) {}

  void add(const TarMember& member) {
    const auto [key, extension] = split_member_name(member.name);
    if (key.empty() || (key.starts_with("__") && key.ends_with("__"))) return;
    if (key != key_ || samples_.empty()) {
      key_ = key;
      samples_.push_back({.base = member.offset, .parts = {}});
      extensions_.clear();
    }
    if (std::find(extensions_.begin(), extensions_.end(), extension) != extensions_.end())
      throw Error(fmt::format("{}: the sample \"{}\" has two members \".{}\"", shard_, key, extension));
    extensions_.push_back(extension);
    const std::optional<Part> part = part_of(extension);
    if (!part) return;
    ShardSample& sample = samples_.back();
    ShardSample::Place& place = sample.parts[static_cast<std::size_t>(*part)];
    if (sample.has(*part)) return;  // a second picture, of another format
    const uint64_t offset = member.offset - sample.base;
    if (offset >= ShardSample::kMissing || member.size >= ShardSample::kMissing)
      throw Error(fmt::format("{}: the sample \"{}\" is 4 GiB large or more", shard_, key));
    place = {.offset = static_cast<uint32_t>(offset), .size = static_cast<uint32_t>(member.size)};
  }

  std::vector<ShardSample> take() { return std::move(samples_); }

 private:
  std::string shard_;
  std::string key_;
  std::vector<std::string> extensions_;  // of the sample at hand
  std::vector<ShardSample> samples_;
};

fs::path cache_file(const fs::path& shard) {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::string cache = variable("XDG_CACHE_HOME");
  const std::string home = variable("HOME");
  if (cache.empty() && home.empty()) return {};
  const fs::path folder = cache.empty() ? fs::path(home) / ".cache" : fs::path(cache);
  const std::string path = fs::absolute(shard).lexically_normal().string();
  return folder / "silc" /
         fmt::format("{}-{:016x}.silc-index", shard.filename().string(), XXH3_64bits(path.data(), path.size()));
}

}  // namespace

std::pair<std::string, std::string> split_member_name(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', begin);
  if (dot == std::string_view::npos || dot == begin) return {};
  std::string extension(name.substr(dot + 1));
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return {std::string(name.substr(0, dot)), extension};
}

ShardIndex::ShardIndex(const fs::path& shard) {
  struct stat state {};
  if (stat(shard.c_str(), &state) != 0)
    throw Error(fmt::format("{}: cannot be read ({})", shard.string(), std::strerror(errno)));
  const auto size = static_cast<uint64_t>(state.st_size);
  const uint64_t time =
      static_cast<uint64_t>(state.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(state.st_mtim.tv_nsec);
  const fs::path beside = shard.string() + ".silc-index";
  const fs::path cached = cache_file(shard);
  if (load(beside, size, time) || (!cached.empty() && load(cached, size, time))) return;
  make(shard);
  const uint64_t words[] = {hash_, size, time};
  hash_ = XXH3_64bits(words, sizeof words);
  if (save(beside, size, time) || cached.empty()) return;
  std::error_code ignored;
  fs::create_directories(cached.parent_path(), ignored);
  static_cast<void>(save(cached, size, time));
}

ShardIndex::~ShardIndex() {
  if (!mapping_.empty()) munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
}

ShardIndex::ShardIndex(ShardIndex&& other) noexcept
    : mapping_(std::exchange(other.mapping_, {})),
      own_(std::move(other.own_)),
      samples_(std::exchange(other.samples_, {})),
      hash_(other.hash_),
      made_(other.made_) {}

void ShardIndex::make(const fs::path& shard) {
  Grouping grouping(shard);
  uint64_t hash = 0;
  visit_tar(shard, [&](const TarMember& member) {
    grouping.add(member);
    const uint64_t words[] = {member.offset, member.size, XXH3_64bits(member.name.data(), member.name.size())};
    hash = XXH3_64bits_withSeed(words, sizeof words, hash);
  });
  own_ = grouping.take();
  samples_ = own_;
  hash_ = hash;
  made_ = true;
}

bool ShardIndex::load(const fs::path& file, uint64_t size, uint64_t time) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct stat state {};
  Header header{};
  const bool fits = fstat(descriptor, &state) == 0 && pread(descriptor, &header, sizeof header, 0) == sizeof header &&
                    std::equal(std::begin(kMagic), std::end(kMagic), header.magic) &&
                    header.check == check_of(header) && header.shard_size == size && header.shard_time == time &&
                    state.st_size % sizeof(ShardSample) == sizeof header % sizeof(ShardSample) &&
                    header.count == (static_cast<uint64_t>(state.st_size) - sizeof header) / sizeof(ShardSample);
  void* mapping = MAP_FAILED;
  if (fits) mapping = mmap(nullptr, static_cast<std::size_t>(state.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (mapping == MAP_FAILED) return false;
  mapping_ = {static_cast<const std::byte*>(mapping), static_cast<std::size_t>(state.st_size)};
  samples_ = {reinterpret_cast<const ShardSample*>(mapping_.data() + sizeof header), header.count};
  hash_ = header.hash;
  return true;
}

// Written under a name of its own and renamed, so that no one reads a part. It need not outlive a power cut.
bool ShardIndex::save(const fs::path& file, uint64_t size, uint64_t time) const {
  Header header{
      .magic = {}, .shard_size = size, .shard_time = time, .count = samples_.size(), .hash = hash_, .check = 0};
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.check = check_of(header);
  const fs::path temporary = file.string() + "." + std::to_string(getpid());
  std::ofstream stream(temporary, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(&header), sizeof header);
  stream.write(reinterpret_cast<const char*>(samples_.data()), static_cast<std::streamsize>(samples_.size_bytes()));
  stream.close();
  std::error_code error;
  if (stream) fs::rename(temporary, file, error);
  if (stream && !error) return true;
  fs::remove(temporary, error);
  return false;
}

std::vector<ShardIndex> open_indexes(const std::vector<std::string>& shards) {
  constexpr unsigned kMostThreads = 8;
  std::vector<std::optional<ShardIndex>> indexes(shards.size());
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;  // guards `failure`
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i = next++; i < shards.size(); i = next++) try {
        indexes[i].emplace(shards[i]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = shards.size();
      }
  };
  std::vector<std::thread> threads;
  const auto wanted = static_cast<unsigned>(std::min<std::size_t>(shards.size(), kMostThreads));
  for (unsigned i = 1; i < std::min(wanted, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  std::vector<ShardIndex> opened;
  opened.reserve(indexes.size());
  for (auto& index : indexes) opened.push_back(*std::move(index));
  return opened;
}

}  // namespace silc::datasets
