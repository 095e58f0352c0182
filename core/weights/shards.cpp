#include "weights/shards.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "silc/error.h"
#include "weights/model_builder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

// Which file each tensor is said to be in.
std::map<std::string, std::string> read_index(const fs::path& index) {
  const nlohmann::json settings = read_settings(index);
  const auto map = settings.find("weight_map");
  if (map == settings.end() || !map->is_object()) throw Error(index.string() + " has no \"weight_map\"");
  std::map<std::string, std::string> places;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) throw Error(index.string() + ": the file of tensor \"" + tensor + "\" is no text");
    const auto name = file.get<std::string>();
    if (name.empty() || fs::path(name).filename().string() != name || name == "." || name == "..")
      throw Error(index.string() + " names the file \"" + name + "\", which does not lie beside it");
    places[tensor] = name;
  }
  return places;
}

class Shards : public WeightsFile {
 public:
  explicit Shards(const fs::path& index) {
    std::map<std::string, std::size_t> files;
    for (const auto& [tensor, name] : read_index(index)) {
      const auto [entry, fresh] = files.try_emplace(name, files_.size());
      if (fresh) files_.push_back(open(index, name));
      add(index, tensor, name, entry->second);
    }
  }

  [[nodiscard]] std::string_view format() const override { return "safetensors"; }
  [[nodiscard]] std::vector<std::byte> read(const std::string& name) const override {
    return files_[places_.at(name)]->read(name);
  }
  void visit(const std::string& name, const std::function<void(std::span<const std::byte>)>& use) const override {
    files_[places_.at(name)]->visit(name, use);
  }

 private:
  static std::unique_ptr<WeightsFile> open(const fs::path& index, const std::string& name) {
    const fs::path file = index.parent_path() / name;
    if (!fs::exists(file)) throw Error(index.string() + " names the file " + name + ", which is missing; fetch it too");
    return open_weights(file);
  }

  void add(const fs::path& index, const std::string& tensor, const std::string& file, std::size_t place) {
    const auto found = files_[place]->tensors().find(tensor);
    if (found == files_[place]->tensors().end())
      throw Error(index.string() + " says that tensor \"" + tensor + "\" is in " + file + ", which does not have it");
    tensors_[tensor] = found->second;
    places_[tensor] = place;
  }

  std::vector<std::unique_ptr<WeightsFile>> files_;
  std::map<std::string, std::size_t> places_;  // in files_
};

}  // namespace

std::vector<fs::path> files_of_index(const fs::path& index) {
  std::set<std::string> names;
  for (const auto& [tensor, name] : read_index(index)) names.insert(name);
  std::vector<fs::path> files;
  for (const std::string& name : names) files.push_back(index.parent_path() / name);
  return files;
}

std::unique_ptr<WeightsFile> open_shards(const fs::path& index) { return std::make_unique<Shards>(index); }

}  // namespace silc
