#include "spec/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

#include "files/content_hash.h"
#include "plugin/option_values.h"
#include "spec/overlay.h"
#include "spec/table_reader.h"
#include "text/names.h"

namespace silc {
namespace {

const std::array<std::string, 3> kBudgetUnits = {"examples", "flops", "core_seconds"};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Range at_least(double minimum) { return {minimum, kInfinity}; }
Range above(double minimum) { return {minimum, kInfinity, true}; }

// Sizes beyond this are typing errors, and would overflow when multiplied.
constexpr double kLargestSize = 1 << 24;

const Setting* value_at(const Setting* table, std::string_view key) {
  const Entry* entry = table ? table->find(key) : nullptr;
  return entry ? &entry->value : nullptr;
}

std::string absolute_folder(const std::filesystem::path& path, const Place& place) {
  const char* data = std::getenv("SILC_DATA");
  if (data != nullptr && *data != 0 && std::filesystem::is_directory(data / path))
    return std::filesystem::absolute(data / path).lexically_normal().string();
  return absolute_path(path, place);
}

bool trains_nothing(const Setting& settings) {
  const Setting* budget = value_at(&settings, "budget");
  if (!budget || !budget->is_table() || budget->table().size() != 1) return false;
  const Setting& amount = budget->table().front().value;
  const auto* whole = std::get_if<int64_t>(&amount.value);
  const auto* number = std::get_if<double>(&amount.value);
  return (whole && *whole == 0) || (number && *number == 0);
}

class Resolver {
 public:
  explicit Resolver(const ResolveContext& context) : context_(context), faults_(context.faults) {}

  // The plugin of a table { <name key> = "clip", option = … }; keys in `beside` are read by others. A null or nameless
  // table means `standard`, if there is one.
  PluginChoice plugin(const Setting* table, PluginKind kind, std::string_view standard, const std::string& path,
                      std::span<const std::string> beside) {
    const std::string name_key(reserved_keys(kind).front());
    PluginChoice choice;
    choice.kind = kind;
    choice.name = standard;
    if (table && !table->is_table()) {
      faults_.add(table->place, fmt::format("{} must be the name of {} {} or a table, not {}", path,
                                            kind_name(kind).find_first_of("aeiou") == 0 ? "an" : "a", kind_name(kind),
                                            shown(*table)));
      return choice;
    }
    TableReader reader(table, path, faults_);
    const bool named = table && table->find(name_key);
    reader.read(name_key, choice.name);
    if (choice.name.empty()) {
      if (table && !named && context_.completeness != Completeness::partial)
        faults_.add(table->place, fmt::format("{} has no {}: which {} is it?", path, name_key, kind_name(kind)));
      return choice;
    }
    const PluginInfo* info = context_.catalogue.find(kind, choice.name);
    if (!info) {
      report_unknown(kind, choice.name, named ? table->find(name_key)->value.place : reader.place());
      return choice;
    }
    choice.version = info->version;
    choice.options = options(*info, table, name_key, beside);
    const Options defaults = default_options(*info);
    for (const OptionRecord& option : info->options)
      if (option.added && choice.options.values().at(option.name) == defaults.values().at(option.name))
        choice.unchanged.insert(option.name);
    find_files(*info, table, choice);
    return choice;
  }

  // A source, or a list of them with their weights.
  DataSource training_source(const Setting* setting, const std::string& path) {
    if (!setting || !setting->is_array()) return data_source(setting, path, {"split", "on_error", "skip_limit"});
    DataSource mixture;
    mixture.dataset = {.kind = PluginKind::dataset, .name = "mixture", .options = {}};
    mixture.split = "train";
    mixture.skip_limit = 0;
    for (const Setting& element : setting->array()) {
      const Setting table = named_table(&element, "dataset");
      mixture.parts.push_back(data_source(&table, path, {"split", "on_error", "skip_limit", "weight"}));
      double& weight = mixture.weights.emplace_back(1);
      if (table.is_table()) TableReader(&table, path, faults_).read("weight", weight, above(0));
      mixture.skip_limit += mixture.parts.back().skip_limit;
      if (mixture.parts.back().on_error != mixture.parts.front().on_error)
        faults_.add(element.place, path + ": on_error must be the same in all parts of a mixture");
    }
    if (mixture.parts.empty())
      faults_.add(setting->place, path + " is an empty list; name datasets, each with its weight");
    else
      mixture.on_error = mixture.parts.front().on_error;
    return mixture;
  }

  DataSource data_source(const Setting* table, const std::string& path, std::vector<std::string> beside) {
    DataSource source;
    source.split = "train";
    if (context_.completeness == Completeness::recorded) beside.emplace_back("fingerprint");
    source.dataset = plugin(table, PluginKind::dataset, "", path, beside);
    if (table && table->is_table()) {
      TableReader reader(table, path, faults_);
      reader.read("split", source.split);
      read_policy(reader, source);
      read_fingerprint(reader, source);
    }
    return source;
  }

  void read_fingerprint(TableReader& reader, DataSource& source) {
    if (context_.completeness == Completeness::recorded) reader.read("fingerprint", source.fingerprint);
  }

  static void read_policy(TableReader& reader, DataSource& source) {
    static const std::array<std::string, 2> policies = {"stop", "skip"};
    reader.read("on_error", source.on_error, policies);
    reader.read("skip_limit", source.skip_limit, {0, kLargestSize});
  }

  void budget(const Setting* table, Budget& budget) {
    TableReader reader(table, "budget", faults_);
    std::vector<std::string> given;
    for (std::size_t i = 0; i < kBudgetUnits.size(); ++i) {
      const std::string& unit = kBudgetUnits[i];
      if (const Setting* value = reader.take(unit)) {
        given.push_back(unit);
        budget.unit = static_cast<BudgetUnit>(i);
        reader.read(unit, budget.amount, at_least(0));
        if (unit == "examples" && budget.amount != std::floor(budget.amount))
          faults_.add(value->place, "budget.examples must be a whole number, not " + shown(*value));
      }
    }
    reader.finish();
    if (given.size() > 1)
      reader.fault(given.back(), fmt::format("is one unit too many: the budget is in one of {}, and {} are given",
                                             quoted_list(kBudgetUnits, "or"), quoted_list(given)));
  }

  void image(const Setting* table, ImageSettings& image) {
    static const std::vector<std::string> beside = {"image_size", "resize_mode", "interpolation",
                                                    "mean",       "std",         "projection_bias"};
    static const std::array<std::string, 2> modes = {"squash", "shortest"};
    static const std::array<std::string, 2> interpolations = {"bilinear", "bicubic"};
    image.backbone = plugin(table, PluginKind::image_backbone, "vit", "model.image", beside);
    if (!table || !table->is_table()) return;
    TableReader reader(table, "model.image", faults_);
    reader.read("image_size", image.image_size, {1, 8192});
    reader.read("resize_mode", image.resize_mode, modes);
    reader.read("interpolation", image.interpolation, interpolations);
    reader.read("mean", image.mean, {0, 1});
    reader.read("std", image.std, {0, 1, true});
    reader.read("projection_bias", image.projection_bias);
  }

  void text(const Setting* table, TextSettings& text) {
    static const std::vector<std::string> beside = {"tokenizer", "context_length", "projection_bias"};
    text.backbone = plugin(table, PluginKind::text_backbone, "text_transformer", "model.text", beside);
    if (table && !table->is_table()) table = nullptr;
    TableReader reader(table, "model.text", faults_);
    // Start and end token have their places in it.
    reader.read("context_length", text.context_length, {2, 65536});
    reader.read("projection_bias", text.projection_bias);
    text.tokenizer = plugin(reader.take("tokenizer"), PluginKind::tokenizer, "words", "model.text.tokenizer", {});
  }

  void optimizer(const Setting* table, OptimizerSettings& optimizer) {
    static const std::array<std::string, 1> names = {"adamw"};
    static const std::array<std::string, 2> schedules = {"cosine", "constant"};
    const Range beta{0, 1, false, true};
    TableReader reader(table, "optimizer", faults_);
    reader.read("name", optimizer.name, names);
    reader.read("lr", optimizer.lr, above(0));
    reader.read("batch", optimizer.batch, {1, kLargestSize});
    reader.read("accumulate", optimizer.accumulate, {1, kLargestSize});
    reader.read("weight_decay", optimizer.weight_decay, at_least(0));
    reader.read("beta1", optimizer.beta1, beta);
    reader.read("beta2", optimizer.beta2, beta);
    reader.read("epsilon", optimizer.epsilon, above(0));
    reader.read("warmup", optimizer.warmup, {0, 1, false, true});
    reader.read("schedule", optimizer.schedule, schedules);
    reader.read("final_lr", optimizer.final_lr, {0, 1});
    reader.read("clip_grad_norm", optimizer.clip_grad_norm, at_least(0));
    reader.finish();
  }

  // `batch`: of the optimizer.
  void engine(const Setting* table, int64_t batch, EngineSettings& engine) {
    static const std::array<std::string, 2> precisions = {"fp32", "bf16"};
    static const std::array<std::string, 2> recomputed = {"none", "blocks"};
    TableReader reader(table, "engine", faults_);
    const Setting* precision = reader.take("precision");
    if (precision && precision->is_text() && precision->text() == "fp16")
      reader.fault("precision", "\"fp16\" is not offered, being hundreds of times slower on CPUs; use \"bf16\"");
    else
      reader.read("precision", engine.precision, precisions);
    reader.read("device", engine.device);
    if (!is_device(engine.device))
      reader.fault(
          "device",
          fmt::format("must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\" with a number N, not \"{}\"", engine.device));
    reader.read("chunk", engine.chunk, {0, kLargestSize});
    reader.read("recompute", engine.recompute, recomputed);
    reader.read("ranks", engine.ranks, {1, 4096});
    if (batch % engine.ranks != 0)
      reader.fault("ranks", fmt::format("must divide optimizer.batch = {}, of which each rank has a part", batch));
    reader.read("threads", engine.threads, {0, 4096});
    reader.read("data_threads", engine.data_threads, {0, 4096});
    reader.read("deterministic", engine.deterministic);
    reader.read("checkpoint_seconds", engine.checkpoint_seconds, at_least(0));
    reader.read("log_every", engine.log_every, {1, kLargestSize});
    reader.read("evaluate_every", engine.evaluate_every, {0, 1});
    reader.read("evaluate_samples", engine.evaluate_samples, {0, kLargestSize});
    reader.read("hang_seconds", engine.hang_seconds, at_least(0));
    reader.read("memory_limit", engine.memory_limit, {0, 1e9});
    reader.finish();
  }

  void evaluation(const Setting* table, std::vector<std::string>& weights) {
    TableReader reader(table, "evaluation", faults_);
    reader.read("weights", weights);
    reader.finish();
    const bool known = std::all_of(weights.begin(), weights.end(),
                                   [](const std::string& name) { return name == "student" || name == "teacher"; });
    if (!known || weights.empty() || std::set(weights.begin(), weights.end()).size() != weights.size())
      reader.fault("weights", "must be [\"student\"], [\"teacher\"] or both of them in one list");
  }

  // The files that a row starts from, and where nothing is trained the objective that they were trained with.
  void checkpoint(const Setting& settings, const std::string& subject, ResolvedCell& cell) {
    const Setting* setting = value_at(&settings, "checkpoint");
    const bool complete = context_.completeness == Completeness::complete;
    if (!setting || !context_.checkpoints) {
      if (complete && trains_nothing(settings))
        faults_.add(value_at(&settings, "budget")->table().front().value.place,
                    fmt::format("{} has a budget of 0: only weights that are there can be evaluated without "
                                "training; name them, as in checkpoint = \"ViT-B-16.safetensors\"",
                                subject));
      return;
    }
    const auto chosen = read_checkpoint(*setting, *context_.checkpoints, faults_);
    if (!chosen || !complete) return;
    cell.start.files = chosen->files;
    const CheckpointFile& first = *chosen->first;
    check_answers(settings, first, subject, setting->place, faults_);
    const PluginInfo* tokenizer = context_.catalogue.find(PluginKind::tokenizer, cell.text.tokenizer.name);
    if (first.captions && tokenizer && tokenizer->learns_from_captions)
      cell.start.captions = training_source(&*first.captions, "captions");
    if (!trains_nothing(settings) || value_at(&settings, "objective")) return;
    if (!first.file.has("text"))
      faults_.add(setting->place, fmt::format("{}: {} has no text tower, so that there is nothing to evaluate it by; "
                                              "train one to it, as objective \"lit\" does",
                                              subject, first.file.path.string()));
    const bool sigmoid = first.file.tensors.contains("objective.contrastive.logit_bias");
    const Setting usual{setting->place,
                        Setting::Table{{"name", setting->place, {setting->place, sigmoid ? "siglip" : "clip"}}}};
    cell.objective = plugin(first.objective ? &*first.objective : &usual, PluginKind::objective, "", "objective", {});
  }

  Evaluation evaluation(const Setting& table) {
    Evaluation evaluation;
    const Setting evaluator = named_table(value_at(&table, "evaluator"), "name");
    const Setting dataset = named_table(value_at(&table, "dataset"), "dataset");
    TableReader reader(&table, "evaluate", faults_);
    require(reader, "evaluator", "which evaluator?");
    require(reader, "dataset", "which dataset is it evaluated on?");
    if (reader.take("evaluator"))
      evaluation.evaluator = plugin(&evaluator, PluginKind::evaluator, "", "evaluate.evaluator", {});
    evaluation.evaluator.kind = PluginKind::evaluator;
    if (reader.take("dataset"))
      evaluation.data.dataset = plugin(&dataset, PluginKind::dataset, "", "evaluate.dataset", {});
    evaluation.data.split = "test";
    reader.read("split", evaluation.data.split);
    read_policy(reader, evaluation.data);
    read_fingerprint(reader, evaluation.data);
    evaluation.name = evaluation.evaluator.name;
    reader.read("name", evaluation.name);
    if (evaluation.name == "cost" || evaluation.name == "search" || evaluation.name.find('/') != std::string::npos)
      reader.fault("name", "must not be \"cost\" or \"search\" nor hold a \"/\", which table columns use themselves");
    reader.finish();
    return evaluation;
  }

 private:
  // An evaluator or dataset of an [[evaluate]] table, written as a text or as a table.
  static Setting named_table(const Setting* setting, std::string_view name_key) {
    if (!setting) return {{}, Setting::Table{}};
    if (!setting->is_text()) return *setting;
    Setting table{setting->place, Setting::Table{}};
    table.set(name_key, *setting, setting->place);
    return table;
  }

  void require(TableReader& reader, std::string_view key, std::string_view question) {
    if (!reader.take(key)) faults_.add(reader.place(), fmt::format("this [[evaluate]] has no {}: {}", key, question));
  }

  static bool is_device(const std::string& device) {
    if (device == "auto" || device == "cpu" || device == "cuda") return true;
    const std::string_view prefix = "cuda:";
    if (!device.starts_with(prefix)) return false;
    const std::string number = device.substr(prefix.size());
    return !number.empty() && number.size() <= 3 &&
           std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  void report_unknown(PluginKind kind, const std::string& name, const Place& place) {
    try {
      static_cast<void>(context_.catalogue.require(kind, name));
    } catch (const Error& error) {
      faults_.add(place, error.what());
    }
  }

  Options options(const PluginInfo& plugin, const Setting* table, const std::string& name_key,
                  std::span<const std::string> beside) {
    std::map<std::string, OptionValue> values = default_options(plugin).values();
    if (!table) return Options(std::move(values));
    for (const auto& [key, place, value] : table->table()) {
      if (key == name_key || std::find(beside.begin(), beside.end(), key) != beside.end()) continue;
      const auto option = std::find_if(plugin.options.begin(), plugin.options.end(),
                                       [&key = key](const OptionRecord& record) { return key == record.name; });
      if (option == plugin.options.end()) {
        faults_.add(place, unknown_option_message(plugin, key, {beside.begin(), beside.end()}));
        continue;
      }
      try {
        values[key] = option_value(*option, to_json(value), shown(value));
      } catch (const Error& error) {
        faults_.add(value.place, fmt::format("{} \"{}\": {}", kind_name(plugin.kind), plugin.name, error.what()));
      }
    }
    return Options(std::move(values));
  }

  // Makes the paths of files and folders absolute, and adds the hashes of files' contents.
  void find_files(const PluginInfo& plugin, const Setting* table, PluginChoice& choice) {
    std::map<std::string, OptionValue> values = choice.options.values();
    for (const OptionRecord& option : plugin.options) {
      const bool folder = option.type == OptionType::folder;
      if (option.type != OptionType::file && !folder) continue;
      const Setting* setting = value_at(table, option.name);
      const bool required = option.minimum == 1 && context_.completeness != Completeness::partial;
      if (setting && !setting->is_text()) continue;  // a fault already
      const Place place = setting ? setting->place : table ? table->place : Place{};
      const auto add_fault = [&](const std::string& what) {
        faults_.add(place, fmt::format("{} \"{}\": {} {}", kind_name(plugin.kind), plugin.name, option.name, what));
      };
      if (!setting || setting->text().empty()) {
        if (required) add_fault(folder ? "must name a folder" : "must name a file");
        continue;
      }
      if (folder) {
        const std::string path = absolute_folder(setting->text(), place);
        choice.files[option.name] = kFolder;
        values[option.name] = path;
        if (!std::filesystem::is_directory(path)) add_fault(fmt::format("cannot be used: there is no folder {}", path));
        continue;
      }
      const std::string path = absolute_path(setting->text(), place);
      try {
        choice.files[option.name] = content_hash(path);
        values[option.name] = path;
      } catch (const Error& error) {
        add_fault(fmt::format("cannot be used: {}", error.what()));
      }
    }
    choice.options = Options(std::move(values));
  }

  const ResolveContext& context_;
  Faults& faults_;
};

bool is_missing_budget(const Setting* budget) { return !budget || (budget->is_table() && budget->table().empty()); }

// Leaves what evaluation needs, so that the same weights under the same evaluation are one cell.
void keep_what_evaluates(ResolvedCell& cell) {
  cell.budget = {};
  cell.train = {};
  cell.optimizer = {};
  cell.engine.precision = EngineSettings().precision;  // evaluation is in fp32
}

// What a row must have and has no default.
void check_complete(const Setting& settings, const std::string& subject, const Place& place, Faults& faults) {
  const Place whole_file{place.file};
  if (!value_at(&settings, "objective") && !trains_nothing(settings))
    faults.add(place, fmt::format("{} has no objective; give it one, as in objective = \"clip\"", subject));
  if (is_missing_budget(value_at(&settings, "budget")))
    faults.add(whole_file, "there is no budget; give one, as in [budget] examples = 40_000");
  if (trains_nothing(settings)) return;
  if (!value_at(value_at(&settings, "data"), "train"))
    faults.add(whole_file, "there is no training data; name it, as in [data] train = \"fashion_scenes\"");
}

void check_examples(const Setting& settings, const ResolvedCell& cell, Faults& faults) {
  if (cell.budget.unit != BudgetUnit::examples || cell.budget.amount <= 0) return;  // 0: nothing is trained
  const int64_t update = cell.optimizer.batch * cell.optimizer.accumulate;
  if (cell.budget.amount >= static_cast<double>(update)) return;
  const Setting* examples = value_at(value_at(&settings, "budget"), "examples");
  if (examples)
    faults.add(examples->place,
               fmt::format("budget.examples ({}) is less than one {}", cell.budget.amount,
                           cell.optimizer.accumulate == 1
                               ? fmt::format("batch (optimizer.batch = {})", update)
                               : fmt::format("update (optimizer.batch * optimizer.accumulate = {})", update)));
}

}  // namespace

ResolvedCell resolve_settings(const Setting& settings, const std::string& subject, const Place& place,
                              const ResolveContext& context) {
  Resolver resolver(context);
  ResolvedCell cell;
  resolver.budget(value_at(&settings, "budget"), cell.budget);

  TableReader data(value_at(&settings, "data"), "data", context.faults);
  if (const Setting* train = data.take("train")) cell.train = resolver.training_source(train, "data.train");
  data.finish();

  TableReader model(value_at(&settings, "model"), "model", context.faults);
  resolver.image(model.take("image"), cell.image);
  resolver.text(model.take("text"), cell.text);
  model.read("embed_dim", cell.embed_dim, {1, kLargestSize});
  model.finish();

  if (const Setting* objective = value_at(&settings, "objective"))
    cell.objective = resolver.plugin(objective, PluginKind::objective, "", "objective", {});
  resolver.optimizer(value_at(&settings, "optimizer"), cell.optimizer);
  resolver.engine(value_at(&settings, "engine"), cell.optimizer.batch, cell.engine);
  resolver.evaluation(value_at(&settings, "evaluation"), cell.weights);

  resolver.checkpoint(settings, subject, cell);

  if (context.completeness != Completeness::partial) {
    check_complete(settings, subject, place, context.faults);
    check_examples(settings, cell, context.faults);
    if (trains_nothing(settings)) keep_what_evaluates(cell);
  }
  return cell;
}

DataSource resolve_source(const Setting* table, const std::string& path, const ResolveContext& context) {
  return Resolver(context).training_source(table, path);
}

std::vector<Evaluation> resolve_evaluations(std::span<const Setting> tables, const ResolveContext& context) {
  Resolver resolver(context);
  std::vector<Evaluation> evaluations;
  std::set<std::string> names;
  for (const Setting& table : tables) {
    evaluations.push_back(resolver.evaluation(table));
    const std::string& name = evaluations.back().name;
    if (!name.empty() && !names.insert(name).second)
      context.faults.add(table.place,
                         fmt::format("there is another evaluation \"{}\" above; give this one a name of its "
                                     "own, as in name = \"{} 2\"",
                                     name, name));
  }
  return evaluations;
}

}  // namespace silc
