#include "engine/fingerprint.h"

#include "engine/assembly.h"
#include "engine/failure.h"
#include "plugin/option_values.h"

namespace silc {
namespace {

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
    return {{"fingerprint", in_plugin(PluginKind::dataset, name, [&] { return dataset->fingerprint(); })}};
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
