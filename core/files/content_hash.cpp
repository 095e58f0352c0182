#include "files/content_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "silc/error.h"

namespace silc {
namespace {

[[noreturn]] void cannot_read(const std::filesystem::path& file, const std::string& reason) {
  throw Error("cannot read " + file.string() + ": " + reason);
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

void add_file(XXH3_state_t* state, const std::filesystem::path& file) {
  constexpr std::size_t kPart = std::size_t{1} << 20;
  // Opening a folder succeeds, only reading it fails.
  const std::unique_ptr<std::FILE, CloseFile> stream(std::fopen(file.c_str(), "rb"));
  if (!stream) cannot_read(file, std::strerror(errno));
  std::vector<char> part(kPart);
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), stream.get()))
    XXH3_128bits_update(state, part.data(), size);
  if (std::ferror(stream.get()) != 0) cannot_read(file, std::strerror(errno));
}

}  // namespace

std::string content_hash(const std::filesystem::path& file) { return content_hash(std::span(&file, 1)); }

std::string content_hash(std::span<const std::filesystem::path> files) {
  const std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  XXH3_128bits_reset(state.get());
  for (const std::filesystem::path& file : files) add_file(state.get(), file);
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text.data();
}

}  // namespace silc
