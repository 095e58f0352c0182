// silc eval: weights that are there, evaluated as they are, in a table.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "cli/known_data.h"
#include "cli/option_arguments.h"
#include "cli/run.h"
#include "cli/session.h"
#include "files/durable_file.h"
#include "files/run_folder.h"
#include "silc/error.h"
#include "spec/overlay.h"
#include "spec/toml_document.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

struct EvalArguments {
  std::vector<std::string> checkpoints;
  std::vector<std::string> evaluators;
  std::vector<std::string> data;
  std::string split = "test";
  std::vector<std::string> options;
  std::vector<std::string> names;
  std::string weights = "student";
  std::string experiment = "eval";
  RunOptions run;
};

Setting table(std::initializer_list<std::pair<std::string_view, Setting>> entries) {
  Setting result{{}, Setting::Table{}};
  for (const auto& [key, setting] : entries) result.set(key, setting);
  return result;
}

Setting text(std::string value) { return {{}, std::move(value)}; }

// Every evaluator on every dataset, named after the evaluator, and after both where there are several datasets.
Setting::Array evaluations_of(const Catalogue& catalogue, const EvalArguments& arguments) {
  std::vector<PluginInfo> plugins;
  for (const std::string& name : arguments.evaluators)
    plugins.push_back(catalogue.require(PluginKind::evaluator, name));
  std::vector<std::pair<std::string, nlohmann::json>> datasets;
  for (const std::string& subject : arguments.data) {
    datasets.push_back(find_data(catalogue, subject));
    plugins.push_back(catalogue.require(PluginKind::dataset, datasets.back().first));
  }
  check_options(plugins, arguments.options);
  Setting::Array evaluations;
  for (const auto& [dataset, found] : datasets) {
    nlohmann::json data = found;
    data.update(chosen_options(catalogue.require(PluginKind::dataset, dataset), arguments.options));
    for (auto& [key, value] : data.items())
      if (value.is_string() && fs::exists(value.get<std::string>())) value = fs::absolute(value.get<std::string>());
    data["dataset"] = dataset;
    for (const std::string& name : arguments.evaluators) {
      nlohmann::json evaluator = chosen_options(catalogue.require(PluginKind::evaluator, name), arguments.options);
      evaluator["name"] = name;
      const std::string title = datasets.size() > 1 ? fmt::format("{} on {}", name, dataset) : name;
      evaluations.push_back(table({{"name", text(title)},
                                   {"evaluator", from_json(evaluator)},
                                   {"dataset", from_json(data)},
                                   {"split", text(arguments.split)}}));
    }
  }
  return evaluations;
}

// What a checkpoint is called in tables: a run folder's cell, else the file's or folder's name.
std::string title_of(const fs::path& path) {
  const fs::path file = fs::absolute(path).lexically_normal();
  for (const fs::path& folder : {file, file.parent_path().parent_path()}) {
    const RunFolder run{folder};
    if (!fs::exists(run.cell())) continue;
    Faults faults;
    const auto document = parse_toml(read_file(run.cell()), run.cell().string(), faults);
    const Entry* head = document ? document->find("cell") : nullptr;
    const Entry* row = head ? head->value.find("row") : nullptr;
    const Entry* seed = head ? head->value.find("seed") : nullptr;
    if (row && row->value.is_text() && seed)
      return fmt::format("{} (seed {})", row->value.text(), toml_text(seed->value));
  }
  // Names that say nothing of the model: that of the folder does.
  static const std::set<std::string> kUsual = {"model", "open_clip_model", "open_clip_pytorch_model", "pytorch_model"};
  fs::path named = file.filename().empty() ? file.parent_path() : file;
  if (!fs::is_directory(named)) named.replace_extension();
  while (kUsual.contains(named.filename().string())) named = named.parent_path();
  return named.filename().string();
}

Setting checkpoint_table(const std::vector<std::string>& paths, const std::vector<double>& shares,
                         const std::string& weights) {
  Setting checkpoint = table({});
  if (paths.size() == 1) {
    checkpoint.set("file", text(paths.front()));
  } else {
    Setting::Array files, mix;
    for (const std::string& path : paths) files.push_back(text(path));
    for (const double share : shares) mix.push_back({{}, share});
    checkpoint.set("files", {{}, std::move(files)});
    checkpoint.set("mix", {{}, std::move(mix)});
  }
  if (weights != "student") checkpoint.set("weights", text(weights));
  return checkpoint;
}

// "0,0.25,0.5": the shares of the second of two checkpoints; nothing where it is no such list.
std::optional<std::vector<double>> interpolations(const std::string& list) {
  std::vector<double> shares;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string number = list.substr(begin, end - begin);
    std::size_t read = 0;
    try {
      shares.push_back(std::stod(number, &read));
    } catch (const std::exception&) {
      return std::nullopt;
    }
    if (read != number.size()) return std::nullopt;
    begin = end + 1;
  }
  return shares;
}

struct Row {
  std::string name;
  Setting checkpoint;
};

std::vector<Row> rows_of(const EvalArguments& arguments) {
  std::vector<std::string> paths, titles;
  for (const std::string& checkpoint : arguments.checkpoints) {
    if (!fs::exists(checkpoint)) throw Error("there is no file or folder " + checkpoint);
    paths.push_back(fs::absolute(checkpoint).lexically_normal().string());
    titles.push_back(title_of(checkpoint));
  }
  std::vector<Row> rows;
  if (arguments.weights == "student" || arguments.weights == "teacher") {
    for (std::size_t i = 0; i < paths.size(); ++i)
      rows.push_back({arguments.weights == "teacher" ? titles[i] + ", teacher" : titles[i],
                      checkpoint_table({paths[i]}, {1}, arguments.weights)});
  } else if (arguments.weights == "average") {
    const std::vector<double> shares(paths.size(), 1 / static_cast<double>(paths.size()));
    std::string name = "average of ";
    for (std::size_t i = 0; i < titles.size(); ++i) name += (i == 0 ? "" : ", ") + titles[i];
    rows.push_back({name, checkpoint_table(paths, shares, "student")});
  } else if (const auto shares = interpolations(arguments.weights)) {
    if (paths.size() != 2)
      throw Error(
          fmt::format("--weights {} is what the second of two checkpoints has in a mix of both, and {} are given",
                      arguments.weights, paths.size()));
    for (const double share : *shares)
      rows.push_back({fmt::format("{:g} {} + {:g} {}", 1 - share, titles[0], share, titles[1]),
                      checkpoint_table(paths, {1 - share, share}, "student")});
  } else {
    throw Error(
        fmt::format("--weights {}: choose student, teacher, average, or for two checkpoints what the second has "
                    "in a mix of both, as in 0,0.25,0.5,0.75,1",
                    arguments.weights));
  }
  if (!arguments.names.empty() && arguments.names.size() != rows.size())
    throw Error(fmt::format("there are {} rows, and --name gives {} names", rows.size(), arguments.names.size()));
  for (std::size_t i = 0; i < arguments.names.size(); ++i) rows[i].name = arguments.names[i];
  return rows;
}

// Files that are named from the working directory; the experiment will lie elsewhere.
void make_absolute(Setting& setting) {
  if (setting.is_table())
    for (Entry& entry : setting.table()) make_absolute(entry.value);
  if (setting.is_text() && fs::is_regular_file(setting.text()))
    setting.value = fs::absolute(setting.text()).lexically_normal().string();
}

Setting row_table(const Row& row, const std::vector<std::string>& sets) {
  Setting result = table({{"name", text(row.name)}, {"checkpoint", row.checkpoint}});
  Faults faults;
  for (const std::string& set : sets)
    if (std::optional<Setting> setting = parse_assignment(set, faults)) {
      expand_plugin_names(*setting);
      make_absolute(*setting);
      lay_over(result, *setting);
    }
  faults.throw_if_any();
  return result;
}

// The rows of the experiment as it stands in its file, where it has the same evaluations: they stay in the table.
Setting::Array earlier_rows(const fs::path& file, const Setting::Array& evaluations) {
  if (!fs::exists(file)) return {};
  Faults faults;
  const std::optional<Setting> document = parse_toml(read_file(file), file.string(), faults);
  const Entry* evaluate = document ? document->find("evaluate") : nullptr;
  const Entry* rows = document ? document->find("row") : nullptr;
  if (!evaluate || !rows || !rows->value.is_array()) return {};
  if (to_json(evaluate->value) != to_json(Setting{{}, evaluations})) return {};
  Setting::Array kept;
  for (const Setting& row : rows->value.array()) {
    const Entry* checkpoint = row.find("checkpoint");
    const Entry* path = checkpoint ? checkpoint->value.find("file") : nullptr;
    // What has gone since would stop the others.
    if (path && path->value.is_text() && !fs::exists(path->value.text())) continue;
    kept.push_back(row);
  }
  return kept;
}

int evaluate(Session& session, EvalArguments arguments) {
  const Setting::Array evaluations = evaluations_of(session.catalogue(), arguments);
  const std::vector<Row> fresh = rows_of(arguments);
  if (path_name(arguments.experiment).empty())
    throw Error("--experiment must hold letters (a to z) or digits, because it names a folder");
  if (const std::string fault = session.runs_fault(); !fault.empty())
    throw Error(fault + "; --runs names another place");
  const fs::path file = session.runs / path_name(arguments.experiment) / "eval.toml";
  Setting::Array rows = earlier_rows(file, evaluations);
  for (const Row& row : fresh) {
    Setting setting = row_table(row, arguments.run.experiment.sets);
    const auto same = std::ranges::find_if(rows, [&](const Setting& other) {
      const Entry* name = other.find("name");
      return name && name->value.is_text() && name->value.text() == row.name;
    });
    if (same == rows.end())
      rows.push_back(std::move(setting));
    else
      *same = std::move(setting);
  }
  const Setting document = table({{"experiment", table({{"name", text(arguments.experiment)}})},
                                  {"budget", table({{"examples", Setting{{}, int64_t{0}}}})},
                                  {"evaluate", Setting{{}, evaluations}},
                                  {"row", Setting{{}, std::move(rows)}}});
  // A request that is wrong leaves the experiment as it was.
  const fs::path trial = file.parent_path() / "eval.toml.new";
  fs::create_directories(file.parent_path());
  write_file_durably(trial, write_toml(document));
  arguments.run.experiment.sets.clear();
  arguments.run.experiment.file = trial;
  try {
    static_cast<void>(read_experiment(arguments.run.experiment, session.catalogue()));
  } catch (const SpecError& error) {
    fs::remove(trial);
    // Where it would stand in a file that nobody wrote tells nothing.
    std::string faults;
    for (const Diagnostic& fault : error.diagnostics()) faults += (faults.empty() ? "" : "\n") + fault.message;
    if (faults.find(" does not say ") != std::string::npos)
      faults +=
          "\nSay it with --set, as in --set model.image.mlp='\"gelu\"'; silc checkpoint import shows what the file "
          "says";
    throw Error(faults);
  } catch (...) {
    fs::remove(trial);
    throw;
  }
  fs::rename(trial, file);
  arguments.run.experiment.file = file;
  for (const Row& row : fresh) arguments.run.experiment.rows.push_back(row.name);
  return run_experiment(arguments.run, session);
}

}  // namespace

void add_eval(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "eval",
      "evaluates weights that are there, and puts them in a table\n\nA CHECKPOINT is a file or folder of open_clip, "
      "OpenAI's CLIP, Hugging Face or big_vision, or a run folder or export of silc. Each becomes a row of an "
      "experiment "
      "of its own, which silc report shows; the next call with the same evaluators and data adds rows to it.");
  const auto arguments = std::make_shared<EvalArguments>();
  command->add_option("checkpoints", arguments->checkpoints, "files or folders of weights")
      ->option_text("CHECKPOINT...")
      ->required();
  const auto many = [](CLI::Option* option, const std::string& name) {
    return option->option_text(name)->delimiter(',')->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  many(command->add_option("--with", arguments->evaluators, "evaluators, each on all data"), "EVALUATOR,...")
      ->type_name("evaluator")
      ->required();
  many(command->add_option("--data", arguments->data, "datasets, or files or folders that silc knows the layout of"),
       "NAME|PATH,...")
      ->type_name("dataset")
      ->required();
  command->add_option("--split", arguments->split, "of the data (default: test)")->option_text("NAME");
  command
      ->add_option("--option", arguments->options,
                   "a value of one of the options of evaluators and datasets; repeatable")
      ->option_text("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_set_flag(*command, arguments->run.experiment.sets,
               "sets a key of the rows, as what a file does not say of its model: --set "
               "model.image.mlp='\"quick_gelu\"'; repeatable");
  command
      ->add_option("--weights", arguments->weights,
                   "student (default), teacher: of a run of silc; average: one row of the checkpoints' mean; "
                   "0,0.5,1: rows that mix two checkpoints, with so much of the second (WiSE-FT)")
      ->option_text("WHICH");
  many(command->add_option("--name", arguments->names, "what rows are called (default: after the files)"), "A,B");
  command->add_option("--experiment", arguments->experiment, "the experiment that rows are added to (default: eval)")
      ->option_text("NAME");
  add_thread_flags(*command, arguments->run.threads);
  command->footer(
      "silc eval ViT-B-16.safetensors --with zero_shot_classification --data cifar10/ --set "
      "model.image.mlp='\"gelu\"' --set model.text.mlp='\"gelu\"'\n"
      "silc eval runs/ablation/clip/seed-0-* tuned/ --with retrieval --data coco/ --weights 0,0.25,0.5,0.75,1");
  command->callback(
      [arguments, &session] { session.command = [=, &session] { return evaluate(session, *arguments); }; });
}

}  // namespace silc
