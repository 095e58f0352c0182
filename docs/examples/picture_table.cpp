// A dataset: a table of pictures and captions.
//
// Each line of the table is the path of a JPEG, PNG or WebP, the split that it belongs to, and a caption, with tabs
// between them; paths start from the table's folder, and a picture with several captions has several lines.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "pictures/decode.h"
#include "silc/dataset.h"

namespace {

// A file option: the path comes as an absolute one, and the table's content is part of a cell's identity.
constexpr auto kTable = silc::required_file_option("table", "lines of picture, split and caption, with tabs between");

std::vector<uint8_t> read(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw silc::Error("dataset \"picture_table\": cannot read " + file.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

class PictureTable : public silc::Dataset {
 public:
  explicit PictureTable(const silc::DatasetContext& context) : table_(context.options[kTable]) {
    std::map<std::string, std::size_t> known;
    std::ifstream lines(table_);
    int64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      const auto first = line.find('\t');
      const auto second = first == std::string::npos ? first : line.find('\t', first + 1);
      if (second == std::string::npos)
        throw silc::Error(table_.string() + ":" + std::to_string(number) + ": no two tabs between three columns");
      if (line.substr(first + 1, second - first - 1) != context.split) continue;
      const auto [entry, fresh] = known.try_emplace(line.substr(0, first), pictures_.size());
      if (fresh) pictures_.push_back({table_.parent_path() / entry->first, {}});
      pictures_[entry->second].captions.push_back(line.substr(second + 1));
    }
    if (pictures_.empty()) throw silc::Error(table_.string() + ": no pictures of split \"" + context.split + "\"");
  }

  int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }

  // Called from several threads at once: it reads, and changes nothing. The picture is handed over as the file that it
  // is: what training needs of it is decoded later.
  silc::Sample sample(int64_t index) const override {
    const Picture& picture = pictures_.at(static_cast<std::size_t>(index));
    silc::Sample sample;
    sample.image = silc::encoded_image(read(picture.file), picture.file.string());
    sample.captions = picture.captions;
    return sample;
  }

  // Without decoding the picture: a tokenizer reads all captions.
  std::vector<std::string> captions(int64_t index) const override {
    return pictures_.at(static_cast<std::size_t>(index)).captions;
  }

  // Of the pictures; the table is an option, and counts by its content already.
  std::string fingerprint() const override {
    XXH64_hash_t hash = 0;
    for (const Picture& picture : pictures_) {
      const std::vector<uint8_t> bytes = read(picture.file);
      hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash);
    }
    return std::to_string(hash);
  }

 private:
  struct Picture {
    std::filesystem::path file;
    std::vector<std::string> captions;
  };

  std::filesystem::path table_;
  std::vector<Picture> pictures_;
};

}  // namespace

SILC_DATASET(picture_table, PictureTable, 2, "picture files with captions from a table", kTable);
