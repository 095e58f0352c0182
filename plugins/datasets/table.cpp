// Pictures and captions from a table: CSV, TSV, or with another separator.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/delimited.h"
#include "plugins/datasets/files.h"
#include "silc/dataset.h"

namespace silc::datasets::table {
namespace {

constexpr auto kTable = required_file_option("table", "its first line names the columns");
constexpr auto kSeparator = choice_option("separator", "auto", "auto|comma|tab|semicolon",
                                          "between columns; auto: tab for .tsv and .tab, else comma");
constexpr auto kFolder = folder_option("folder", "where the pictures' paths start; empty: the table's own folder");
constexpr auto kPath = text_option("path", "path", "column with the picture's path; lines of one path are one picture");
constexpr auto kCaptions = texts_option("captions", "caption", "columns with captions; empty fields are passed over");
constexpr auto kLabel = text_option("label", "", "column with the picture's class; empty: there is none");
constexpr auto kClasses = file_option(
    "class_names", "a class a line, which gives their order; empty: the table's classes in that of their names");
constexpr auto kSplit =
    text_option("split_column", "",
                "column that says which split a picture is of; empty: the whole table is the split that is asked for");

char separator_of(const Options& options) {
  const std::string& name = options[kSeparator];
  if (name == "tab") return '\t';
  if (name == "semicolon") return ';';
  const std::string extension = extension_of(options[kTable]);
  return name == "auto" && (extension == ".tsv" || extension == ".tab") ? '\t' : ',';
}

class Table : public Dataset {
 public:
  explicit Table(const DatasetContext& context)
      : options_(context.options),
        table_(options_[kTable]),
        folder_(options_[kFolder].empty() ? table_.parent_path() : std::filesystem::path(options_[kFolder])),
        prompts_(prompts_named(options_[kPrompts])) {
    const std::vector<uint8_t> bytes = file_bytes(table_);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::vector<DelimitedRow> rows = read_delimited(text, separator_of(options_), table_.string());
    if (rows.empty()) throw Error(table_.string() + ": is empty");
    read_rows(rows, context.split);
    if (pictures_.empty())
      throw Error(fmt::format("{}: has no pictures{}", table_.string(),
                              options_[kSplit].empty() ? "" : fmt::format(" of split \"{}\"", context.split)));
  }

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const Picture& picture = at(index);
    Sample sample;
    sample.captions = captions(index);
    sample.image = picture_file(path_below(folder_, picture.path, place(picture)));
    sample.label = picture.label;
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    const Picture& picture = at(index);
    if (picture.captions.empty()) throw Error(place(picture) + ": the caption is empty");
    for (const std::string& caption : picture.captions) check_caption(caption, place(picture));
    return picture.captions;
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return classes_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_; }

  // The table's content is an option, and counts already.
  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (const Picture& picture : pictures_) fingerprint.add(picture.path).add_state(folder_ / picture.path);
    return fingerprint.text();
  }

 private:
  struct Picture {
    std::string path;
    int64_t line = 0;  // of the table, where it is named first
    int64_t label = kNoLabel;
    std::vector<std::string> captions;
  };

  void read_rows(const std::vector<DelimitedRow>& rows, const std::string& split) {
    const DelimitedRow& header = rows.front();
    const std::size_t path = *column(header, options_[kPath], "path");
    const std::optional<std::size_t> label = column(header, options_[kLabel], "label");
    const std::optional<std::size_t> split_column = column(header, options_[kSplit], "split_column");
    std::vector<std::size_t> captions;
    for (const std::string& name : options_[kCaptions]) captions.push_back(*column(header, name, "captions"));
    if (captions.empty()) throw Error("option \"captions\" is an empty list: every picture needs a caption");
    const std::vector<std::string> names = names_of_split(split);
    if (label) find_classes(rows, *label);
    std::map<std::string, std::size_t> known;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const DelimitedRow& row = rows[i];
      if (row.fields.size() != header.fields.size())
        throw Error(fmt::format("{}:{}: has {} columns, and the first line names {}", table_.string(), row.line,
                                row.fields.size(), header.fields.size()));
      if (split_column && std::find(names.begin(), names.end(), row.fields[*split_column]) == names.end()) continue;
      const auto [entry, fresh] = known.try_emplace(row.fields[path], pictures_.size());
      if (fresh) {
        pictures_.push_back({.path = row.fields[path], .line = row.line, .captions = {}});
        if (label) pictures_.back().label = label_of(row.fields[*label], row.line);
      }
      for (const std::size_t caption : captions)
        if (!row.fields[caption].empty()) pictures_[entry->second].captions.push_back(row.fields[caption]);
    }
  }

  // Where the column of this name is; nothing for no name.
  [[nodiscard]] std::optional<std::size_t> column(const DelimitedRow& header, const std::string& name,
                                                  std::string_view option) const {
    if (name.empty() && option != "path" && option != "captions") return std::nullopt;
    const auto found = std::find(header.fields.begin(), header.fields.end(), name);
    if (found == header.fields.end())
      throw Error(fmt::format("{}:{}: there is no column \"{}\" (option \"{}\"); there are: {}", table_.string(),
                              header.line, name, option, fmt::join(header.fields, ", ")));
    return static_cast<std::size_t>(found - header.fields.begin());
  }

  void find_classes(const std::vector<DelimitedRow>& rows, std::size_t label) {
    if (!options_[kClasses].empty()) {
      classes_ = read_list(options_[kClasses]);
    } else {
      for (std::size_t i = 1; i < rows.size(); ++i)
        if (label < rows[i].fields.size() && !rows[i].fields[label].empty()) classes_.push_back(rows[i].fields[label]);
      std::sort(classes_.begin(), classes_.end());
      classes_.erase(std::unique(classes_.begin(), classes_.end()), classes_.end());
    }
    for (std::size_t i = 0; i < classes_.size(); ++i) labels_[classes_[i]] = static_cast<int64_t>(i);
  }

  [[nodiscard]] int64_t label_of(const std::string& name, int64_t line) const {
    if (name.empty()) return kNoLabel;
    const auto found = labels_.find(name);
    if (found == labels_.end())
      throw Error(
          fmt::format("{}:{}: \"{}\" is none of the classes in {}", table_.string(), line, name, options_[kClasses]));
    return found->second;
  }

  [[nodiscard]] const Picture& at(int64_t index) const { return pictures_.at(static_cast<std::size_t>(index)); }
  [[nodiscard]] std::string place(const Picture& picture) const {
    return fmt::format("{}:{}", table_.string(), picture.line);
  }

  Options options_;
  std::filesystem::path table_;
  std::filesystem::path folder_;
  std::vector<std::string> prompts_;
  std::vector<std::string> classes_;
  std::map<std::string, int64_t> labels_;  // by class
  std::vector<Picture> pictures_;
};

}  // namespace

SILC_DATASET(table, Table, 1, "pictures with captions from a table: CSV or TSV with a line of column names", kTable,
             kSeparator, kFolder, kPath, kCaptions, kLabel, kClasses, kSplit, kPrompts);

}  // namespace silc::datasets::table
