// A folder for each class, as ImageNet has it: FOLDER/train/n01440764/n01440764_10026.JPEG.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "silc/dataset.h"

namespace silc::datasets::image_folder {
namespace {

constexpr auto kFolder = required_folder_option(
    "folder", "holds a folder for each split (train, val or validation, test), and in it one for each class");
constexpr auto kClassNames = file_option(
    "class_names",
    "a line for each class: the folder's name, a space or tab, and what to call the class; or its name alone, in the "
    "order of the folders' names");
constexpr auto kClassList =
    choice_option("class_list", "folders", "folders|imagenet",
                  "without class_names: classes are called as their folders, or by CLIP's names "
                  "for ImageNet's 1000");

// What the classes in `folders` are called.
std::vector<std::string> name_classes(const std::vector<std::string>& folders, const std::vector<std::string>& lines,
                                      const std::string& source) {
  std::map<std::string, std::string> by_folder;
  for (const std::string& line : lines) {
    const std::size_t space = line.find_first_of(" \t");
    if (space == std::string::npos) continue;
    const std::size_t name = line.find_first_not_of(" \t", space);
    if (name != std::string::npos) by_folder[line.substr(0, space)] = line.substr(name);
  }
  if (std::all_of(folders.begin(), folders.end(), [&](const auto& folder) { return by_folder.contains(folder); })) {
    std::vector<std::string> names;
    for (const std::string& folder : folders) names.push_back(by_folder[folder]);
    return names;
  }
  if (lines.size() == folders.size()) return lines;
  const auto missing =
      std::find_if(folders.begin(), folders.end(), [&](const auto& folder) { return !by_folder.contains(folder); });
  throw Error(fmt::format("{}: names {} classes, and there are {} folders; {} is not named", source, lines.size(),
                          folders.size(), *missing));
}

std::vector<std::string> names_of(const std::vector<std::string>& folders, const Options& options) {
  if (!options[kClassNames].empty())
    return name_classes(folders, read_list(options[kClassNames]), options[kClassNames]);
  if (options[kClassList] == "imagenet")
    return name_classes(folders, built_in_list("classes/imagenet"), "class_list = \"imagenet\"");
  return folders;
}

class ImageFolder : public Dataset {
 public:
  explicit ImageFolder(const DatasetContext& context)
      : folder_(split_folder(context.options[kFolder], context.split)),
        folders_(list_folders(folder_)),
        names_(names_of(folders_, context.options)),
        captions_(context.options[kClassCaptions]),
        prompts_(prompts_named(context.options[kPrompts])) {
    for (std::size_t label = 0; label < folders_.size(); ++label) {
      for (std::string& file : list_files(folder_ / folders_[label], is_picture)) pictures_.push_back(std::move(file));
      ends_.push_back(pictures_.size());
    }
    if (pictures_.empty())
      throw Error(
          fmt::format("{}: has no pictures in folders of classes (.jpg, .jpeg, .png, .webp)", folder_.string()));
  }

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }

  [[nodiscard]] Sample sample(int64_t index) const override {
    Sample sample;
    sample.image = picture_file(file(index));
    sample.captions = captions(index);
    sample.label = label(index);
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    return captions_naming(captions_, names_[static_cast<std::size_t>(label(index))]);
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return names_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_; }

  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (int64_t i = 0; i < size(); ++i) fingerprint.add(pictures_[static_cast<std::size_t>(i)]).add_state(file(i));
    for (const std::string& folder : folders_) fingerprint.add(folder);
    return fingerprint.text();
  }

 private:
  [[nodiscard]] int64_t label(int64_t index) const {
    return std::upper_bound(ends_.begin(), ends_.end(), static_cast<std::size_t>(index)) - ends_.begin();
  }
  [[nodiscard]] std::filesystem::path file(int64_t index) const {
    return folder_ / folders_[static_cast<std::size_t>(label(index))] / pictures_.at(static_cast<std::size_t>(index));
  }

  std::filesystem::path folder_;      // of the split
  std::vector<std::string> folders_;  // of the classes, in the order of their labels
  std::vector<std::string> names_;    // of the classes
  Texts captions_;                    // with {} for the name
  std::vector<std::string> prompts_;
  std::vector<std::string> pictures_;  // from their class's folder, class by class
  std::vector<std::size_t> ends_;      // of each class in pictures_
};

}  // namespace

SILC_DATASET(image_folder, ImageFolder, 1,
             "pictures in a folder for each class, as ImageNet has them; JPEG, PNG and WebP", kFolder, kClassNames,
             kClassList, kClassCaptions, kPrompts);

}  // namespace silc::datasets::image_folder
