#include "weights/archive.h"

#include <zip.h>

#include <algorithm>

#include "silc/error.h"

namespace silc {

namespace {

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

}  // namespace

void Archive::Close::operator()(::zip* archive) const { zip_discard(archive); }

Archive::Archive(const std::filesystem::path& file) : file_(file) {
  int code = 0;
  zip_.reset(zip_open(file.c_str(), ZIP_RDONLY, &code));
  if (!zip_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(file.string() + " is no sound zip archive: " + reason + "; fetch or write it again");
  }
  const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t entry;
    const auto index = static_cast<zip_uint64_t>(i);
    constexpr zip_uint64_t kKnown = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(zip_.get(), index, ZIP_FL_ENC_GUESS, &entry) != 0 || (entry.valid & kKnown) != kKnown)
      throw Error(file.string() + " is damaged: its list of entries cannot be read; fetch or write it again");
    entries_[entry.name] = {.index = index, .size = entry.size, .packed = entry.comp_method != ZIP_CM_STORE};
  }
}

Archive::~Archive() = default;
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;

std::vector<std::byte> Archive::read(const std::string& name, uint64_t size, uint64_t begin) const {
  constexpr uint64_t kPart = uint64_t{1} << 20;
  const auto fail = [&]() {
    throw Error(file_.string() + ": " + name + " cannot be read (" + zip_strerror(zip_.get()) +
                "); the file is damaged: fetch or write it again");
  };
  const Entry& found = entries_.at(name);
  const std::unique_ptr<zip_file_t, CloseEntry> entry(zip_fopen_index(zip_.get(), found.index, 0));
  if (!entry) fail();
  if (!found.packed && begin > 0 && zip_fseek(entry.get(), static_cast<zip_int64_t>(begin), SEEK_SET) != 0) fail();
  for (uint64_t left = found.packed ? begin : 0; left > 0;) {
    std::vector<std::byte> skipped(std::min(left, kPart));
    const zip_int64_t got = zip_fread(entry.get(), skipped.data(), skipped.size());
    if (got <= 0) fail();
    left -= static_cast<uint64_t>(got);
  }
  // Grows with what is there, as the size that an archive claims may be anything.
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::min<uint64_t>(kPart, size - before));
    const zip_int64_t got = zip_fread(entry.get(), bytes.data() + before, bytes.size() - before);
    if (got < 0) fail();
    bytes.resize(before + static_cast<std::size_t>(got));
    if (got == 0) break;
  }
  return bytes;
}

}  // namespace silc
