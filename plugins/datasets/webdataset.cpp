// WebDataset shards: tar archives whose members of one key, one after the other, are a sample.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "pictures/decode.h"
#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "plugins/datasets/patterns.h"
#include "plugins/datasets/shard_index.h"
#include "plugins/datasets/tar.h"
#include "silc/dataset.h"

namespace silc::datasets::webdataset {
namespace {

constexpr auto kFolder = required_folder_option("folder", "where the shards' names start");
constexpr auto kShards = texts_option(
    "shards", "{split}*.tar", "names with * and {0000..0099}; {split} stands for the split, also as val and training");
constexpr auto kCaptionKey = text_option(
    "caption_key", "caption", "of .json members, where there is no .txt: the key of a caption or a list of them");
constexpr auto kClassNames = file_option("class_names", "a class a line, in the order of the numbers in .cls members");
constexpr auto kClassList =
    choice_option("class_list", "none", "none|imagenet",
                  "without class_names: .cls members are not read, or count ImageNet's classes");

// An open shard.
class Shard {
 public:
  explicit Shard(const std::string& path) : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat state {};
    if (descriptor_ < 0 || fstat(descriptor_, &state) != 0)
      throw Error(fmt::format("{}: cannot be read ({})", path, std::strerror(errno)));
    size_ = static_cast<uint64_t>(state.st_size);
  }
  ~Shard() { close(descriptor_); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  [[nodiscard]] std::string name_of(const ShardSample& sample, Part part) const {
    return fmt::format("{}: {}", path_, tar_name_at(descriptor_, sample.offset(part)));
  }

  [[nodiscard]] std::vector<uint8_t> read(const ShardSample& sample, Part part) const {
    // Before any memory is asked for: a damaged header, or index, may promise four gigabytes.
    const uint64_t begin = sample.offset(part);
    const uint64_t length = sample.place(part).size;
    if (begin > size_ || length > size_ - begin) throw cut_short(sample, part);
    read_ahead(begin);
    std::vector<uint8_t> bytes(length);
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t count =
          pread(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(sample.offset(part) + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw Error(fmt::format("{}: cannot be read ({})", name_of(sample, part), std::strerror(errno)));
      if (count == 0) throw cut_short(sample, part);
      done += static_cast<std::size_t>(count);
    }
    return bytes;
  }

  [[nodiscard]] std::string read_text(const ShardSample& sample, Part part) const {
    const std::vector<uint8_t> bytes = read(sample, part);
    std::string text(bytes.begin(), bytes.end());
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  }

 private:
  [[nodiscard]] Error cut_short(const ShardSample& sample, Part part) const {
    return Error(fmt::format("{}: is cut short, since the shard ends", name_of(sample, part)));
  }

  // Samples come in random order, but from a few shards at a time: the system reads large pieces of them in one go.
  void read_ahead(uint64_t offset) const {
    constexpr uint64_t kPiece = uint64_t{64} << 20;
    const std::size_t piece = offset / kPiece;
    {
      const std::lock_guard lock(mutex_);
      if (piece < asked_for_.size() && asked_for_[piece]) return;
      asked_for_.resize(std::max(asked_for_.size(), piece + 1));
      asked_for_[piece] = true;
    }
    posix_fadvise(descriptor_, static_cast<off_t>(piece * kPiece), kPiece, POSIX_FADV_WILLNEED);
  }

  std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::vector<bool> asked_for_;
};

// The shards that were used last, open.
class OpenShards {
 public:
  explicit OpenShards(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }

  [[nodiscard]] std::shared_ptr<const Shard> open(std::size_t number) const {
    constexpr std::size_t kMostOpen = 64;
    const std::lock_guard lock(mutex_);
    if (const auto known = places_.find(number); known != places_.end()) {
      order_.splice(order_.begin(), order_, known->second);
      return order_.front().second;
    }
    order_.emplace_front(number, std::make_shared<Shard>(paths_.at(number)));
    places_[number] = order_.begin();
    if (order_.size() > kMostOpen) {
      places_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }

 private:
  using Order = std::list<std::pair<std::size_t, std::shared_ptr<const Shard>>>;

  std::vector<std::string> paths_;
  mutable std::mutex mutex_;  // guards what follows
  mutable Order order_;       // the one used last first
  mutable std::unordered_map<std::size_t, Order::iterator> places_;
};

std::vector<std::string> find_shards(const std::filesystem::path& folder, const std::vector<std::string>& patterns,
                                     const std::string& split) {
  constexpr std::string_view kSplit = "{split}";
  for (const std::string& name : names_of_split(split)) {
    std::vector<std::string> shards;
    for (std::string pattern : patterns) {
      if (pattern.find("://") != std::string::npos || pattern.starts_with("pipe:"))
        throw Error(fmt::format("shards must be files, not \"{}\": load them first", pattern));
      for (std::size_t at = pattern.find(kSplit); at != std::string::npos; at = pattern.find(kSplit, at))
        pattern.replace(at, kSplit.size(), name);
      for (const std::string& expanded : expand_braces(pattern))
        for (std::string& shard : expand_glob((folder / expanded).string())) shards.push_back(std::move(shard));
    }
    // Named one by one they must be there; that is said when they are opened.
    const bool found =
        std::any_of(shards.begin(), shards.end(), [](const auto& path) { return std::filesystem::exists(path); });
    if (found || (!shards.empty() && name == names_of_split(split).back())) return shards;
  }
  throw Error(
      fmt::format("{}: has no shards {} for the split \"{}\"", folder.string(), fmt::join(patterns, ", "), split));
}

class WebDataset : public Dataset {
 public:
  explicit WebDataset(const DatasetContext& context)
      : shards_(find_shards(context.options[kFolder], context.options[kShards], context.split)),
        indexes_(open_indexes(shards_.paths())),
        caption_key_(context.options[kCaptionKey]),
        class_captions_(context.options[kClassCaptions]),
        prompts_(prompts_named(context.options[kPrompts])) {
    if (!context.options[kClassNames].empty())
      classes_ = read_list(context.options[kClassNames]);
    else if (context.options[kClassList] == "imagenet")
      classes_ = built_in_list("classes/imagenet");
    int64_t end = 0;
    for (const ShardIndex& index : indexes_) ends_.push_back(end += static_cast<int64_t>(index.samples().size()));
    if (end == 0)
      throw Error(fmt::format("{}: has no samples, and neither has another shard", shards_.paths().front()));
  }

  [[nodiscard]] int64_t size() const override { return ends_.back(); }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const auto [shard, place] = find(index);
    if (!place.has(Part::picture)) throw Error(any_name(*shard, place) + " has no picture beside it");
    Sample sample;
    sample.label = label_of(*shard, place);
    sample.captions = captions_of(*shard, place, sample.label);
    sample.image = encoded_image(shard->read(place, Part::picture), shard->name_of(place, Part::picture));
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    const auto [shard, place] = find(index);
    return captions_of(*shard, place, label_of(*shard, place));
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return classes_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_; }

  [[nodiscard]] std::vector<int64_t> shard_starts() const override {
    std::vector<int64_t> starts = {0};
    starts.insert(starts.end(), ends_.begin(), ends_.end() - 1);
    return starts;
  }

  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (std::size_t i = 0; i < indexes_.size(); ++i)
      fingerprint.add(std::filesystem::path(shards_.paths()[i]).filename().string())
          .add(std::to_string(indexes_[i].hash()));
    return fingerprint.text();
  }

 private:
  [[nodiscard]] std::pair<std::shared_ptr<const Shard>, ShardSample> find(int64_t index) const {
    if (index < 0 || index >= size()) throw std::out_of_range("there is no such sample");
    const auto shard = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    const int64_t first = shard == 0 ? 0 : ends_[shard - 1];
    return {shards_.open(shard), indexes_[shard].samples()[static_cast<std::size_t>(index - first)]};
  }

  // Of whatever member the sample has.
  static std::string any_name(const Shard& shard, const ShardSample& place) {
    for (const Part part : {Part::picture, Part::text, Part::json, Part::label})
      if (place.has(part)) return shard.name_of(place, part);
    ShardSample first = place;
    first.parts[0].offset = 0;
    return shard.name_of(first, Part::picture);
  }

  [[nodiscard]] int64_t label_of(const Shard& shard, const ShardSample& place) const {
    if (classes_.empty() || !place.has(Part::label)) return kNoLabel;
    const std::string text = shard.read_text(place, Part::label);
    int64_t label = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (error != std::errc() || end != text.data() + text.size())
      throw Error(fmt::format("{}: is no number", shard.name_of(place, Part::label)));
    if (label < 0 || label >= static_cast<int64_t>(classes_.size()))
      throw Error(fmt::format("{}: holds the label {}, and there are {} classes", shard.name_of(place, Part::label),
                              label, classes_.size()));
    return label;
  }

  [[nodiscard]] std::vector<std::string> captions_of(const Shard& shard, const ShardSample& place,
                                                     int64_t label) const {
    std::vector<std::string> captions;
    Part part = Part::text;
    if (place.has(Part::text)) {
      captions = {shard.read_text(place, Part::text)};
    } else if (place.has(Part::json)) {
      part = Part::json;
      captions = captions_in_json(shard, place);
    } else if (label != kNoLabel) {
      return captions_naming(class_captions_, classes_[static_cast<std::size_t>(label)]);
    } else {
      throw Error(any_name(shard, place) + " has no caption beside it, neither .txt nor .json");
    }
    for (const std::string& caption : captions) check_caption(caption, shard.name_of(place, part));
    return captions;
  }

  [[nodiscard]] std::vector<std::string> captions_in_json(const Shard& shard, const ShardSample& place) const {
    try {
      const nlohmann::json object = nlohmann::json::parse(shard.read(place, Part::json));
      const nlohmann::json& value = object.at(caption_key_);
      auto captions = value.is_string() ? std::vector{value.get<std::string>()} : value.get<std::vector<std::string>>();
      if (captions.empty()) throw Error(fmt::format("{}: the caption is empty", shard.name_of(place, Part::json)));
      return captions;
    } catch (const nlohmann::json::exception& error) {
      throw Error(fmt::format("{}: has no caption under \"{}\" ({})", shard.name_of(place, Part::json), caption_key_,
                              error.what()));
    }
  }

  OpenShards shards_;
  std::vector<ShardIndex> indexes_;
  std::vector<int64_t> ends_;  // of each shard's samples
  std::vector<std::string> classes_;
  std::string caption_key_;
  Texts class_captions_;
  std::vector<std::string> prompts_;
};

}  // namespace

SILC_DATASET(
    webdataset, WebDataset, 1,
    "WebDataset shards: tar archives of pictures (.jpg, .jpeg, .png, .webp) with captions (.txt, .json) and labels "
    "(.cls)",
    kFolder, kShards, kCaptionKey, kClassNames, kClassList, kClassCaptions, kPrompts);

}  // namespace silc::datasets::webdataset
