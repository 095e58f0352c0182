#include "plugins/datasets/files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "pictures/decode.h"

namespace silc::datasets {
namespace fs = std::filesystem;

fs::path path_below(const fs::path& folder, std::string_view relative, std::string_view where) {
  const fs::path path(relative);
  const bool leaves =
      path.is_absolute() || std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  if (leaves || relative.find('\0') != std::string_view::npos)
    throw Error(fmt::format("{}: the path {} leads out of the folder {}", where, relative, folder.string()));
  return folder / path;
}

std::vector<uint8_t> file_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error || !stream)
    throw Error(fmt::format("{}: cannot be read ({})", file.string(), error ? error.message() : std::strerror(errno)));
  std::vector<uint8_t> bytes(size);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream) throw Error(fmt::format("{}: cannot be read to its end", file.string()));
  return bytes;
}

Image picture_file(const fs::path& file) { return encoded_image(file_bytes(file), file.string()); }

std::string extension_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || (slash != std::string_view::npos && dot < slash)) return "";
  std::string extension(name.substr(dot));
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

bool is_picture(std::string_view name) {
  const std::string extension = extension_of(name);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".webp";
}

namespace {

template <class Visit>
void visit_folder(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) throw Error(fmt::format("{}: cannot be listed ({})", folder.string(), error.message()));
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.')) visit(entry, name);
  }
}

void collect_files(const fs::path& folder, const std::string& prefix,
                   const std::function<bool(std::string_view)>& wanted, int depth, std::vector<std::string>& files) {
  constexpr int kDeepest = 32;  // a link that leads back up comes to an end here
  visit_folder(folder, [&](const fs::directory_entry& entry, const std::string& name) {
    std::error_code ignored;  // of a link that leads nowhere, which the name decides about
    if (entry.is_directory(ignored)) {
      if (depth < kDeepest) collect_files(entry.path(), prefix + name + '/', wanted, depth + 1, files);
    } else if (wanted(name)) {
      files.push_back(prefix + name);
    }
  });
}

}  // namespace

std::vector<std::string> list_files(const fs::path& folder, const std::function<bool(std::string_view)>& wanted) {
  std::vector<std::string> files;
  collect_files(folder, "", wanted, 0, files);
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<fs::path> find_in_data_folders(std::string_view name) {
  const char* set = std::getenv("XDG_DATA_DIRS");
  const std::string folders = set != nullptr && *set != '\0' ? set : "/usr/local/share:/usr/share";
  for (std::size_t start = 0; start <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', start), folders.size());
    const auto folder = fs::path(folders.substr(start, end - start)) / name;
    if (fs::is_directory(folder)) return folder;
    start = end + 1;
  }
  return std::nullopt;
}

std::vector<std::string> list_folders(const fs::path& folder) {
  std::vector<std::string> folders;
  visit_folder(folder, [&](const fs::directory_entry& entry, const std::string& name) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) folders.push_back(name);
  });
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<std::string> names_of_split(const std::string& split) {
  if (split == "validation") return {"validation", "val", "valid"};
  if (split == "train") return {"train", "training"};
  return {split};
}

fs::path split_folder(const fs::path& folder, const std::string& split) {
  for (const std::string& name : names_of_split(split))
    if (fs::is_directory(path_below(folder, name, "split"))) return folder / name;
  throw Error(fmt::format("{}: has no folder for the split \"{}\"; there are: {}", folder.string(), split,
                          fmt::join(list_folders(folder), ", ")));
}

void Fingerprint::mix(uint64_t word) {
  low_ = XXH3_64bits_withSeed(&word, sizeof word, low_);
  high_ = XXH3_64bits_withSeed(&word, sizeof word, high_ ^ 0x9E3779B97F4A7C15);
}

Range range_of_split(const std::string& split, int64_t all, int64_t held_back, const fs::path& folder) {
  if (split == "test") return {.first = 0, .count = all};
  if (held_back >= all) throw Error(fmt::format("{}: has no more than {} pictures to hold back", folder.string(), all));
  if (split == "train") return {.first = 0, .count = all - held_back};
  return {.first = all - held_back, .count = held_back};
}

Fingerprint& Fingerprint::add(std::string_view text) {
  mix(text.size());
  mix(XXH3_64bits(text.data(), text.size()));
  return *this;
}

Fingerprint& Fingerprint::add_content(const fs::path& file) {
  const std::vector<uint8_t> bytes = file_bytes(file);
  return add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Fingerprint& Fingerprint::add_state(const fs::path& file) {
  struct stat state {};
  if (stat(file.c_str(), &state) != 0) return add("missing");
  mix(static_cast<uint64_t>(state.st_size));
  mix(static_cast<uint64_t>(state.st_mtim.tv_sec));
  mix(static_cast<uint64_t>(state.st_mtim.tv_nsec));
  return *this;
}

std::string Fingerprint::text() const { return fmt::format("{:016x}{:016x}", high_, low_); }

void check_caption(std::string_view caption, std::string_view where) {
  if (!is_utf8(caption)) throw Error(fmt::format("{}: the caption is not UTF-8", where));
  if (caption.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw Error(fmt::format("{}: the caption is empty", where));
}

}  // namespace silc::datasets
