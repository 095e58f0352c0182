#include "spec/cell.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "plugin/option_values.h"
#include "spec/cell_settings.h"
#include "spec/short_hash.h"

namespace silc {
namespace {

template <class T>
Setting value(T scalar) {
  return {{}, std::move(scalar)};
}

Setting texts(const std::vector<std::string>& list) { return to_setting(list); }

Setting table(std::initializer_list<std::pair<std::string_view, Setting>> entries) {
  Setting result{{}, Setting::Table{}};
  for (const auto& [key, setting] : entries) result.set(key, setting);
  return result;
}

Setting colour(const std::array<double, 3>& channels) {
  Setting::Array list;
  for (const double channel : channels) list.push_back(value(channel));
  return value(std::move(list));
}

// Budgets are counts of any size: whole where they can be written so exactly.
Setting amount(double number) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (number == static_cast<double>(static_cast<int64_t>(std::min(number, kExact))))
    return value(static_cast<int64_t>(number));
  return value(number);
}

std::string_view unit_key(BudgetUnit unit) {
  switch (unit) {
    case BudgetUnit::examples:
      return "examples";
    case BudgetUnit::flops:
      return "flops";
    case BudgetUnit::core_seconds:
      return "core_seconds";
  }
  return "";
}

// { <name key> = "clip", option = … }
Setting plugin_table(const PluginChoice& plugin) {
  Setting result = table({{reserved_keys(plugin.kind).front(), value(plugin.name)}});
  for (const auto& [name, option] : plugin.options.values()) result.set(name, to_setting(option));
  return result;
}

void add_source(Setting& result, const DataSource& source) {
  result.set("split", value(source.split));
  result.set("on_error", value(source.on_error));
  result.set("skip_limit", value(source.skip_limit));
  if (!source.fingerprint.empty()) result.set("fingerprint", value(source.fingerprint));
}

Setting evaluation_table(const Evaluation& evaluation) {
  Setting result = table({{"name", value(evaluation.name)},
                          {"evaluator", plugin_table(evaluation.evaluator)},
                          {"dataset", plugin_table(evaluation.data.dataset)}});
  add_source(result, evaluation.data);
  return result;
}

Setting model_table(const ResolvedCell& cell) {
  Setting image = plugin_table(cell.image.backbone);
  image.set("image_size", value(cell.image.image_size));
  image.set("resize_mode", value(cell.image.resize_mode));
  image.set("interpolation", value(cell.image.interpolation));
  image.set("mean", colour(cell.image.mean));
  image.set("std", colour(cell.image.std));
  image.set("projection_bias", value(cell.image.projection_bias));
  Setting text = plugin_table(cell.text.backbone);
  text.set("context_length", value(cell.text.context_length));
  text.set("projection_bias", value(cell.text.projection_bias));
  text.set("tokenizer", plugin_table(cell.text.tokenizer));
  return table({{"embed_dim", value(cell.embed_dim)}, {"image", std::move(image)}, {"text", std::move(text)}});
}

Setting optimizer_table(const OptimizerSettings& optimizer) {
  return table({{"name", value(optimizer.name)},
                {"lr", value(optimizer.lr)},
                {"batch", value(optimizer.batch)},
                {"accumulate", value(optimizer.accumulate)},
                {"weight_decay", value(optimizer.weight_decay)},
                {"beta1", value(optimizer.beta1)},
                {"beta2", value(optimizer.beta2)},
                {"epsilon", value(optimizer.epsilon)},
                {"warmup", value(optimizer.warmup)},
                {"schedule", value(optimizer.schedule)},
                {"final_lr", value(optimizer.final_lr)},
                {"clip_grad_norm", value(optimizer.clip_grad_norm)}});
}

Setting engine_table(const EngineSettings& engine) {
  return table({{"precision", value(engine.precision)},
                {"device", value(engine.device)},
                {"chunk", value(engine.chunk)},
                {"recompute", value(engine.recompute)},
                {"ranks", value(engine.ranks)},
                {"threads", value(engine.threads)},
                {"data_threads", value(engine.data_threads)},
                {"deterministic", value(engine.deterministic)},
                {"checkpoint_seconds", value(engine.checkpoint_seconds)},
                {"log_every", value(engine.log_every)},
                {"evaluate_every", value(engine.evaluate_every)},
                {"evaluate_samples", value(engine.evaluate_samples)},
                {"hang_seconds", value(engine.hang_seconds)},
                {"memory_limit", value(engine.memory_limit)}});
}

// `Cell`: ResolvedCell or const ResolvedCell.
template <class Cell>
auto plugins_of(Cell& cell) {
  std::vector plugins = {&cell.objective, &cell.image.backbone, &cell.text.backbone, &cell.text.tokenizer};
  const auto add_source = [&](auto& source) {
    if (source.parts.empty() && is_there(source)) plugins.push_back(&source.dataset);
    for (auto& part : source.parts) plugins.push_back(&part.dataset);
  };
  add_source(cell.train);
  if (is_there(cell.start.captions)) add_source(cell.start.captions);
  for (auto& evaluation : cell.evaluations) {
    plugins.push_back(&evaluation.evaluator);
    plugins.push_back(&evaluation.data.dataset);
  }
  return plugins;
}

Setting versions_table(const ResolvedCell& cell) {
  Setting versions = table({});
  for (const PluginChoice* plugin : plugins_of(cell)) {
    const std::string kind = kind_key(plugin->kind);
    if (!versions.find(kind)) versions.set(kind, table({}));
    versions.find(kind)->value.set(plugin->name, value(static_cast<int64_t>(plugin->version)));
  }
  return versions;
}

// Files by path, with their contents' hashes.
Setting files_table(const ResolvedCell& cell) {
  Setting files = table({});
  for (const PluginChoice* plugin : plugins_of(cell))
    for (const auto& [option, hash] : plugin->files)
      files.set(std::get<std::string>(plugin->options.values().at(option)), value(hash));
  return files;
}

Setting source_table(const DataSource& source) {
  if (source.parts.empty()) {
    Setting result = plugin_table(source.dataset);
    add_source(result, source);
    return result;
  }
  Setting::Array parts;
  for (std::size_t i = 0; i < source.parts.size(); ++i) {
    parts.push_back(source_table(source.parts[i]));
    parts.back().set("weight", value(source.weights[i]));
  }
  return value(std::move(parts));
}

bool is_start(const Start& start) { return !start.cell.empty() || !start.files.empty(); }

Setting start_table(const Start& start) {
  Setting result = table({});
  if (!start.cell.empty()) {
    result.set("cell", value(start.cell));
    result.set("folder", value(start.folder));
  }
  if (is_there(start.captions)) result.set("captions", source_table(start.captions));
  Setting::Array files;
  for (const StartFile& file : start.files)
    files.push_back(table({{"path", value(file.path)},
                           {"hash", value(file.hash)},
                           {"weights", value(file.weights)},
                           {"share", value(file.share)}}));
  if (!files.empty()) result.set("files", value(std::move(files)));
  return result;
}

// The content of a file decides a result, wherever it lies; an option that the plugin did not have, at what it did
// without, decides nothing.
void keep_what_decides(PluginChoice& plugin) {
  std::map<std::string, OptionValue> values = plugin.options.values();
  for (const auto& [option, hash] : plugin.files) values[option] = hash;
  for (const std::string& option : plugin.unchanged) values.erase(option);
  plugin.options = Options(std::move(values));
  plugin.files.clear();
}

std::vector<nlohmann::json*> elements_of(nlohmann::json& array) {
  std::vector<nlohmann::json*> elements;
  for (nlohmann::json& element : array) elements.push_back(&element);
  return elements;
}

// Takes out of a cell's settings what decides no result.
void drop_what_decides_nothing(nlohmann::json& settings) {
  const auto drop_policy = [](nlohmann::json& source) {
    for (nlohmann::json* part : source.is_array() ? elements_of(source) : std::vector{&source}) {
      part->erase("on_error");
      part->erase("skip_limit");
    }
  };
  if (settings["data"].contains("train")) drop_policy(settings["data"]["train"]);
  if (settings.contains("start") && settings["start"].contains("captions")) drop_policy(settings["start"]["captions"]);
  if (settings.contains("evaluate"))
    for (auto& evaluation : settings["evaluate"]) drop_policy(evaluation);
  // How pictures have been made the model's input before one could choose: the ids of such cells are as they were.
  const ImageSettings standard;
  nlohmann::json& image = settings["model"]["image"];
  const auto drop_standard = [&](const char* key, const auto& usual) {
    if (image.at(key) == nlohmann::json(usual)) image.erase(key);
  };
  drop_standard("resize_mode", standard.resize_mode);
  drop_standard("interpolation", standard.interpolation);
  drop_standard("mean", standard.mean);
  drop_standard("std", standard.std);
  drop_standard("projection_bias", standard.projection_bias);
  if (nlohmann::json& text = settings["model"]["text"]; text.at("projection_bias") == nlohmann::json(false))
    text.erase("projection_bias");
}

}  // namespace

std::string kind_key(PluginKind kind) {
  std::string key(kind_name(kind));
  std::replace(key.begin(), key.end(), ' ', '_');
  return key;
}

Setting cell_settings(const ResolvedCell& cell) {
  Setting::Array evaluations;
  for (const Evaluation& evaluation : cell.evaluations) evaluations.push_back(evaluation_table(evaluation));
  Setting settings = table({{"budget", table({{unit_key(cell.budget.unit), amount(cell.budget.amount)}})},
                            {"data", is_there(cell.train) ? table({{"train", source_table(cell.train)}}) : table({})},
                            {"model", model_table(cell)},
                            {"objective", plugin_table(cell.objective)},
                            {"optimizer", optimizer_table(cell.optimizer)},
                            {"engine", engine_table(cell.engine)},
                            {"evaluation", table({{"weights", texts(cell.weights)}})}});
  if (is_start(cell.start)) settings.set("start", start_table(cell.start));
  if (!evaluations.empty()) settings.set("evaluate", value(std::move(evaluations)));
  settings.set("versions", versions_table(cell));
  if (Setting files = files_table(cell); !files.table().empty()) settings.set("files", std::move(files));
  return settings;
}

std::string cell_id(const ResolvedCell& cell) {
  ResolvedCell anywhere = cell;
  for (PluginChoice* plugin : plugins_of(anywhere)) keep_what_decides(*plugin);
  anywhere.start.folder.clear();
  for (StartFile& file : anywhere.start.files) file.path.clear();
  nlohmann::json identity = to_json(cell_settings(anywhere));
  drop_what_decides_nothing(identity);
  // How a cell is executed decides its cost, not what is computed; the precision does both.
  identity["engine"] = {{"precision", cell.engine.precision}};
  identity["engine_version"] = kEngineVersion;
  identity["seed"] = cell.seed;
  return short_hash(identity.dump());
}

std::vector<ResolvedCell> unchained(const ResolvedCell& cell) {
  std::vector<ResolvedCell> phases = cell.earlier;
  phases.push_back(cell);
  phases.back().earlier.clear();
  return phases;
}

std::vector<ResolvedCell> phases_of(const ResolvedCell& cell) {
  std::vector<ResolvedCell> phases = unchained(cell);
  for (std::size_t i = 1; i < phases.size(); ++i) {
    const std::string experiment = path_name(phases[i].experiment);
    phases[i].start = {.cell = cell_id(phases[i - 1]),
                       .folder = run_folder(phases[i - 1]).lexically_relative(experiment).generic_string(),
                       .captions = captions_of(phases.front())};
  }
  return phases;
}

const DataSource& captions_of(const ResolvedCell& cell) {
  return is_there(cell.start.captions) ? cell.start.captions : cell.train;
}

uint64_t training_seed(const ResolvedCell& cell) {
  const auto seed = static_cast<uint64_t>(cell.seed);
  if (cell.start.cell.empty()) return seed;
  return seed ^ XXH3_64bits(cell.start.cell.data(), cell.start.cell.size());
}

std::string row_label(const ResolvedCell& cell) {
  return cell.elsewhere ? fmt::format("{} of {}", cell.row, cell.experiment) : cell.row;
}

std::string cell_label(const ResolvedCell& cell) {
  return cell.trial ? fmt::format("trial {}", *cell.trial) : fmt::format("seed {}", cell.seed);
}

std::string short_hash(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64).substr(0, 12);
}

std::string path_name(std::string_view name) {
  constexpr std::size_t kLongest = 100;
  std::string path;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      path += c;
    else if (c >= 'A' && c <= 'Z')
      path += static_cast<char>(c - 'A' + 'a');
    else if (!path.empty() && path.back() != '-')
      path += '-';
    if (c == '*') path += "star-";  // SILC* is another model than SILC
  }
  while (!path.empty() && path.back() == '-') path.pop_back();
  if (path.size() > kLongest) path = path.substr(0, kLongest - 13) + '-' + short_hash(name);
  return path;
}

std::string source_item(const DataSource& source) {
  if (!source.parts.empty()) {
    auto parts = nlohmann::json::array();
    for (std::size_t i = 0; i < source.parts.size(); ++i)
      parts.push_back({source_item(source.parts[i]), source.weights[i]});
    return "mixture " + parts.dump();
  }
  // Keys of a JSON object are in alphabetical order.
  return "source " + nlohmann::json{{"dataset", source.dataset.name},
                                    {"options", options_to_json(source.dataset.options)},
                                    {"split", source.split}}
                         .dump();
}

std::filesystem::path run_folder(const ResolvedCell& cell) {
  const std::string name = cell.trial ? fmt::format("trial-{}", *cell.trial) : fmt::format("seed-{}", cell.seed);
  return std::filesystem::path(path_name(cell.experiment)) / path_name(cell.row) /
         fmt::format("{}-{}", name, cell_id(cell));
}

}  // namespace silc
