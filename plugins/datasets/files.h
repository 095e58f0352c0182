// What datasets of files share: paths that stay in their folder, listings, pictures, fingerprints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "silc/dataset.h"
#include "silc/error.h"
#include "silc/utf8.h"

namespace silc::datasets {

// `relative` below `folder`. Throws silc::Error for a path that leads out of it, as a table or an archive made
// elsewhere may have; `where` says in which line it stands.
std::filesystem::path path_below(const std::filesystem::path& folder, std::string_view relative,
                                 std::string_view where);

// Throws silc::Error naming the file and why it cannot be read.
std::vector<uint8_t> file_bytes(const std::filesystem::path& file);

// The picture in a file, to be decoded later. Throws silc::Error naming the file.
Image picture_file(const std::filesystem::path& file);

// In lower case, with the dot: ".jpg"; of what follows the last dot of the file's name.
std::string extension_of(std::string_view name);

// Whether the name ends in .jpg, .jpeg, .png or .webp, in whatever case.
bool is_picture(std::string_view name);

// Paths from `folder` of the files below it that are wanted, at any depth, with slashes, in the order of their bytes:
// the same on every machine. Links are followed; names that begin with a dot are passed over.
std::vector<std::string> list_files(const std::filesystem::path& folder,
                                    const std::function<bool(std::string_view name)>& wanted);

// The folder of this name in $XDG_DATA_DIRS (/usr/local/share and /usr/share unless it is set), where Debian's packages
// put what they share.
std::optional<std::filesystem::path> find_in_data_folders(std::string_view name);

// Names of the folders in `folder`, in the order of their bytes.
std::vector<std::string> list_folders(const std::filesystem::path& folder);

// The folder of a split below `folder`, where people call it by one of several names. Throws silc::Error naming those
// that are there.
std::filesystem::path split_folder(const std::filesystem::path& folder, const std::string& split);

// "train", "val", …: what validation is called, too, in the order in which they are looked for.
std::vector<std::string> names_of_split(const std::string& split);

// Samples of a split among those that lie one after the other.
struct Range {
  int64_t first = 0;
  int64_t count = 0;
};

// Of data whose files know training and test pictures alone: validation is the last `held_back` of the `all` that lie
// in the training files, train the others, test is all. Throws silc::Error, naming the folder, where nothing is left.
Range range_of_split(const std::string& split, int64_t all, int64_t held_back, const std::filesystem::path& folder);

// What Dataset::fingerprint() is made of: contents of indexes, sizes and times of pictures, which are too large to
// read.
class Fingerprint {
 public:
  Fingerprint& add(std::string_view text);
  Fingerprint& add_content(const std::filesystem::path& file);
  // Size and time of the last change. Of a file that is not there, that.
  Fingerprint& add_state(const std::filesystem::path& file);
  [[nodiscard]] std::string text() const;

 private:
  void mix(uint64_t word);

  uint64_t low_ = 0, high_ = 0;
};

// Throws silc::Error that begins with `where` for a caption that is empty or not UTF-8.
void check_caption(std::string_view caption, std::string_view where);

}  // namespace silc::datasets
