#include "engine/fingerprint.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <set>

#include "engine/assembly.h"
#include "engine/failure.h"
#include "plugin/option_values.h"

namespace silc {
namespace {

// At most `most` places among `size`: all, or each a function of its number and `size`.
std::set<int64_t> places(int64_t size, int64_t most) {
  std::set<int64_t> chosen;
  if (size <= most) {
    for (int64_t i = 0; i < size; ++i) chosen.insert(i);
    return chosen;
  }
  for (int64_t i = 0; i < most; ++i)
    chosen.insert(static_cast<int64_t>(XXH3_64bits(&i, sizeof i) % static_cast<uint64_t>(size)));
  return chosen;
}

std::string hash_of(const Image& image) {
  const std::vector<uint8_t>& bytes = image.encoded.empty() ? image.rgb : image.encoded;
  const auto shape = static_cast<uint64_t>(image.encoded.empty() ? image.width : 0);
  return fmt::format("{:016x}", XXH3_64bits_withSeed(bytes.data(), bytes.size(), shape));
}

nlohmann::json pictures_of(const Dataset& dataset, int64_t most) {
  auto hashes = nlohmann::json::array();
  for (const int64_t index : places(dataset.size(), most)) {
    try {
      hashes.push_back(hash_of(dataset.sample(index).image));
    } catch (const std::exception&) {
      continue;  // told where it is used
    }
  }
  return hashes;
}

nlohmann::json answer(const nlohmann::json& question, const Catalogue& catalogue) {
  try {
    const std::string name = question.at("dataset").get<std::string>();
    const PluginInfo& plugin = catalogue.require(PluginKind::dataset, name);
    const Options options = options_from_json(plugin, question.value("options", nlohmann::json::object()));
    const DataSource source{
        .dataset = {.kind = PluginKind::dataset, .name = name, .version = plugin.version, .options = options},
        .split = question.at("split").get<std::string>(),
        .fingerprint = ""};
    const auto dataset = load_dataset(source, catalogue);
    return in_plugin(PluginKind::dataset, name, [&] {
      nlohmann::json json = {{"fingerprint", dataset->fingerprint()}};
      const int64_t pictures = question.value("pictures", int64_t{0});
      if (pictures > 0) {
        json["size"] = dataset->size();
        json["pictures"] = pictures_of(*dataset, pictures);
      }
      return json;
    });
  } catch (const nlohmann::json::exception& error) {
    return {{"error", "a question to silc-engine fingerprint is malformed: " + one_line(error)}};
  } catch (const std::exception& error) {
    return {{"error", one_line(error)}};
  }
}

}  // namespace

nlohmann::json fingerprints(const nlohmann::json& questions, const Catalogue& catalogue) {
  if (!questions.is_array()) throw Error("silc-engine fingerprint expects a JSON array on its standard input");
  auto answers = nlohmann::json::array();
  for (const auto& question : questions) answers.push_back(answer(question, catalogue));
  return answers;
}

}  // namespace silc
