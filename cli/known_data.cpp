#include "cli/known_data.h"

#include <filesystem>

#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

bool has_file(const fs::path& folder, std::string_view ending) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().ends_with(ending)) return true;
  return false;
}

// The dataset that a path looks like, with the option that names it.
std::pair<std::string, nlohmann::json> recognised(const fs::path& path) {
  const std::string extension = path.extension();
  if (extension == ".csv" || extension == ".tsv") return {"table", {{"table", path.string()}}};
  if (extension == ".tar")
    return {"webdataset",
            {{"folder", fs::absolute(path).parent_path().string()}, {"shards", {path.filename().string()}}}};
  const nlohmann::json folder = {{"folder", path.string()}};
  if (has_file(path, ".tar")) return {"webdataset", folder};
  if (fs::exists(path / "annotations") && has_file(path / "annotations", ".json")) return {"coco", folder};
  if (fs::exists(path / "batches.meta.txt") || fs::exists(path / "fine_label_names.txt")) return {"cifar", folder};
  if (has_file(path, "-ubyte") || has_file(path, "-ubyte.gz")) return {"idx", folder};
  if (fs::is_directory(path / "train") || fs::is_directory(path / "val")) return {"image_folder", folder};
  throw Error(path.string() +
              " looks like no data that silc knows; name the dataset and its options, as in silc data check "
              "segmentation_folder --option folder=" +
              path.string());
}

}  // namespace

std::pair<std::string, nlohmann::json> find_data(const Catalogue& catalogue, const std::string& subject) {
  if (!catalogue.find(PluginKind::dataset, subject) && fs::exists(subject)) return recognised(subject);
  return {subject, nlohmann::json::object()};
}

}  // namespace silc
