// silc data: looking at datasets without training on them.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/known_data.h"
#include "cli/option_arguments.h"
#include "cli/session.h"
#include "cli/text.h"
#include "plugin/similar.h"
#include "schedule/engine_process.h"
#include "silc/error.h"
#include "spec/experiment.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct DataArguments {
  std::string subject;
  std::vector<std::string> options;
  std::vector<std::string> splits;
  int64_t threads = 2;
  fs::path output;
  std::optional<int64_t> count;
  std::string row;
  int64_t per_shard = 10000;
  std::string on_error = "stop";
  int64_t vocabulary = 8192;
  std::string clean = "lower";
};

nlohmann::json question_of(const Session& session, const DataArguments& arguments, const std::string& what) {
  const Catalogue catalogue = session.catalogue();
  auto [name, options] = find_data(catalogue, arguments.subject);
  const PluginInfo& plugin = catalogue.require(PluginKind::dataset, name);
  check_options({plugin}, arguments.options);
  options.update(chosen_options(plugin, arguments.options));
  return {{"do", what},
          {"dataset", name},
          {"options", options},
          {"splits", arguments.splits},
          {"threads", arguments.threads}};
}

// Asks the engine and hands over its lines as they come. Throws silc::Error with its words if it fails.
void ask(const Session& session, const nlohmann::json& question, const std::function<void(const Json& line)>& take) {
  std::string rest;
  bool done = false;
  const EngineAnswer answer =
      run_engine({find_engine(), session.plugin_paths}, {"data"}, question.dump(), [&](std::string_view piece) {
        rest += piece;
        for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
          const Json line = Json::parse(rest.substr(0, end), nullptr, false);
          rest.erase(0, end + 1);
          if (!line.is_object()) continue;
          done = done || line.contains("done");
          take(line);
        }
      });
  if (done) return;
  std::string fault = answer.errors.substr(0, answer.errors.find_last_not_of('\n') + 1);
  if (fault.starts_with("silc-engine: ")) fault.erase(0, 13);
  throw Error(fault.empty() ? "the engine ended without an answer" : fault);
}

int list(Session& session) {
  auto described = Json::array();
  std::string text;
  const Catalogue catalogue = session.catalogue();
  for (const PluginInfo& plugin : catalogue.plugins()) {
    if (plugin.kind != PluginKind::dataset) continue;
    auto splits = Json::array();
    text += fmt::format("{}\n  {}\n", plugin.name, plugin.summary);
    for (const auto& split : plugin.splits) {
      splits.push_back({{"name", split.name}, {"content", split.content}});
      text += fmt::format("  {:<12} {}\n", split.name, split.content);
    }
    described.push_back({{"name", plugin.name}, {"summary", plugin.summary}, {"splits", splits}});
  }
  if (session.json)
    print_json({{"datasets", described}});
  else
    print(text + "silc plugin show NAME lists a dataset's options.\n");
  return 0;
}

std::string ends(const Json& range, const std::string& unit) {
  const auto least = range[0].get<int64_t>();
  const auto most = range[1].get<int64_t>();
  return (least == most ? std::to_string(least) : fmt::format("{} to {}", least, most)) + unit;
}

std::string figures_text(const std::string& split, const Json& figures) {
  const auto letters = figures["letters"];
  std::string text = fmt::format("{}: {}", split, count(figures["samples"], "sample"));
  if (const int64_t unreadable = figures["unreadable"]; unreadable > 0)
    text += fmt::format(", {} cannot be read", unreadable);
  text += fmt::format("\n  captions  {}, {} each; {} long, {:.1f} in the mean\n", figures["captions"].get<int64_t>(),
                      ends(figures["captions_each"], ""), ends({letters[0], letters[2]}, " letters"),
                      letters[1].get<double>());
  text += fmt::format("  pictures  {} wide, {} high\n", ends(figures["width"], " pixels"),
                      ends(figures["height"], " pixels"));
  if (const int64_t masks = figures["masks"]; masks > 0) text += fmt::format("  masks     {}\n", masks);
  if (const int64_t boxes = figures["boxes"]; boxes > 0) text += fmt::format("  boxes     {}\n", boxes);
  if (figures["labels"].empty()) return text;
  std::vector<std::pair<int64_t, std::string>> classes;
  for (const auto& [name, pictures] : figures["labels"].items()) classes.emplace_back(pictures.get<int64_t>(), name);
  const auto [fewest, most] = std::minmax_element(classes.begin(), classes.end());
  text += fmt::format("  classes   {}, from {} ({}) to {} ({})\n", classes.size(), fewest->first, fewest->second,
                      most->first, most->second);
  return text;
}

int check(Session& session, const DataArguments& arguments) {
  constexpr size_t kShown = 20;  // of each kind, on a terminal
  const nlohmann::json question = question_of(session, arguments, "check");
  session.started = true;
  auto splits = Json::object();
  auto unreadable = Json::array();
  auto duplicates = Json::array();
  ask(session, question, [&](const Json& line) {
    if (line.contains("read")) note(session, fmt::format("{} read", line["read"].get<int64_t>()));
    if (line.contains("unreadable")) {
      unreadable.push_back({{"split", line["split"]}, {"sample", line["unreadable"]}, {"reason", line["reason"]}});
      if (!session.json && unreadable.size() <= kShown)
        print(fmt::format("{} {}: {}\n", line["split"].get<std::string>(), line["unreadable"].get<int64_t>(),
                          line["reason"].get<std::string>()));
    }
    if (line.contains("figures")) {
      splits[line["split"].get<std::string>()] = line["figures"];
      if (!session.json) print(figures_text(line["split"], line["figures"]));
    }
    if (line.contains("duplicates")) duplicates.push_back(line["duplicates"]);
  });
  const bool sound = unreadable.empty() && duplicates.empty();
  if (session.json) {
    print_json({{"sound", sound}, {"splits", splits}, {"unreadable", unreadable}, {"duplicates", duplicates}});
    return sound ? 0 : 1;
  }
  if (unreadable.size() > kShown) print(fmt::format("… and {} more that cannot be read\n", unreadable.size() - kShown));
  if (!duplicates.empty())
    print(fmt::format("{} there more than once:\n",
                      duplicates.size() == 1 ? "1 picture is" : fmt::format("{} pictures are", duplicates.size())));
  for (size_t i = 0; i < std::min(kShown, duplicates.size()); ++i) {
    std::string places;
    for (const Json& place : duplicates[i]) {
      places += (places.empty() ? "  " : " = ") + place[0].get<std::string>() + " " + place[1].dump();
      if (const auto file = place[2].get<std::string>(); !file.empty()) places += " (" + file + ")";
    }
    print(places + "\n");
  }
  if (duplicates.size() > kShown) print(fmt::format("… and {} more; --json lists all\n", duplicates.size() - kShown));
  return sound ? 0 : 1;
}

// What the model of an experiment's row sees, in each of its phases.
nlohmann::json question_of_views(const Session& session, const DataArguments& arguments) {
  if (!arguments.options.empty() || !arguments.splits.empty())
    throw Error("--option and --split go with a dataset; an experiment says them itself");
  ExperimentRequest request{.file = arguments.subject};
  if (!arguments.row.empty()) request.rows = {arguments.row};
  auto cells = nlohmann::json::array();
  for (const ResolvedCell& phase : unchained(read_experiment(request, session.catalogue()).cells.front()))
    cells.push_back(write_cell(phase));
  return {{"do", "views"}, {"cells", cells}, {"count", arguments.count.value_or(8)}};
}

int preview(Session& given, const DataArguments& arguments) {
  const bool of_row = fs::path(arguments.subject).extension() == ".toml";
  if (!of_row && !arguments.row.empty())
    throw Error("--row goes with an experiment file, as in silc data preview x.toml");
  const Session session = of_row ? given.with_plugins_of(arguments.subject) : given;
  nlohmann::json question = of_row ? question_of_views(session, arguments) : question_of(session, arguments, "preview");
  question["output"] = arguments.output;
  if (!of_row) question["count"] = arguments.count.value_or(24);
  given.started = true;
  ask(session, question, [&](const Json& line) {
    if (line.contains("unreadable")) warn(line["reason"].get<std::string>());
    if (!line.contains("written")) return;
    if (session.json)
      print_json({{"file", line["written"]}, {"samples", line["samples"]}});
    else
      print(fmt::format("{}: {}\n", line["written"].get<std::string>(), count(line["samples"], "sample")));
  });
  return 0;
}

int pack(Session& session, const DataArguments& arguments) {
  nlohmann::json question = question_of(session, arguments, "pack");
  question["output"] = arguments.output;
  question["per_shard"] = arguments.per_shard;
  question["skip"] = arguments.on_error == "skip";
  session.started = true;
  auto shards = Json::array();
  int64_t left_out = 0;
  ask(session, question, [&](const Json& line) {
    if (line.contains("unreadable")) {
      ++left_out;
      warn(line["reason"].get<std::string>());
    }
    if (!line.contains("shard")) return;
    shards.push_back({{"file", line["shard"]}, {"samples", line["samples"]}});
    if (!session.json)
      print(fmt::format("{}: {}\n", line["shard"].get<std::string>(), count(line["samples"], "sample")));
  });
  if (session.json) print_json({{"shards", shards}, {"left_out", left_out}});
  return left_out == 0 ? 0 : 1;
}

int train_tokenizer(Session& session, DataArguments arguments) {
  if (arguments.splits.empty()) arguments.splits = {"train"};
  nlohmann::json question = question_of(session, arguments, "train_tokenizer");
  question["output"] = arguments.output;
  question["tokens"] = arguments.vocabulary;
  question["clean"] = arguments.clean;
  session.started = true;
  ask(session, question, [&](const Json& line) {
    if (line.contains("read")) note(session, fmt::format("{} read", line["read"].get<int64_t>()));
    if (!line.contains("written")) return;
    const int64_t tokens = line["tokens"];
    if (session.json) {
      print_json(
          {{"file", line["written"]}, {"tokens", tokens}, {"captions", line["captions"]}, {"words", line["words"]}});
      return;
    }
    print(fmt::format("{}: {} from {}, {}\n", line["written"].get<std::string>(), count(tokens, "token"),
                      count(line["captions"], "caption"), count(line["words"], "different word")));
    if (tokens < arguments.vocabulary) print("There are no more: no other pair of tokens occurs twice.\n");
  });
  return 0;
}

CLI::App* add_command(CLI::App& group, const std::string& name, const std::string& help, DataArguments& arguments) {
  CLI::App* command = group.add_subcommand(name, help);
  command
      ->add_option("subject", arguments.subject, "a dataset's name, or a file or folder that silc knows the layout of")
      ->option_text("NAME|PATH")
      ->type_name("dataset")
      ->required();
  command
      ->add_option("--option", arguments.options,
                   "a value of one of the dataset's options, as in an experiment file; repeatable")
      ->option_text("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--split", arguments.splits,
                   "a split; repeatable (default: those of train, validation and test that there are)")
      ->option_text("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--threads", arguments.threads, "threads that read (default: 2)")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  return command;
}

}  // namespace

void add_data(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("data", "look at datasets, check them, pack them into shards");
  group->require_subcommand(1);
  CLI::App* list_command = group->add_subcommand("list", "the datasets that there are, and their splits");
  list_command->callback([&session] { session.command = [&session] { return list(session); }; });

  const auto arguments = std::make_shared<DataArguments>();
  CLI::App* check_command = add_command(*group, "check",
                                        "read everything, and say what is wrong\n\nNames every sample that cannot be "
                                        "read, counts captions, classes, masks "
                                        "and boxes, and finds pictures that are there more than once, within a split "
                                        "or between two: at whatever size and "
                                        "quality, in other colours, but not cut or turned. Exit code 1: something is "
                                        "wrong.",
                                        *arguments);
  check_command->footer(
      "silc data check photos/captions.csv\nsilc data check coco --option folder=coco --option objects=instances");
  check_command->callback(
      [arguments, &session] { session.command = [=, &session] { return check(session, *arguments); }; });

  CLI::App* preview_command = add_command(
      *group, "preview",
      "a contact sheet of a dataset, or of what a model sees, as a PNG\n\nOf a dataset: pictures with captions, masks "
      "and "
      "boxes, one split below the other. Of an experiment's row: the first pictures of its training, where crops are "
      "cut from them, and the crops "
      "as "
      "the objective gets them, with their changed colours and hidden patches; and what an evaluation sees.",
      *arguments);
  preview_command->add_option("--output", arguments->output, "the PNG to write")->option_text("FILE")->required();
  preview_command->add_option("--row", arguments->row, "of an experiment file: the row (default: the first)")
      ->option_text("NAME")
      ->type_name("rows");
  preview_command->add_option("--count", arguments->count, "samples, spread over each split (default: 24; of a row: 8)")
      ->option_text("N")
      ->check(CLI::Range(int64_t{1}, int64_t{600}));
  preview_command->footer(
      "silc data preview shapes --split test --output shapes.png\n"
      "silc data preview experiments/ablation.toml --row SILC --output views.png");
  preview_command->callback(
      [arguments, &session] { session.command = [=, &session] { return preview(session, *arguments); }; });

  CLI::App* pack_command = add_command(*group, "pack",
                                       "write a dataset as WebDataset shards\n\nDIR/SPLIT-000000.tar and so on, with "
                                       "files as they are where there are files, "
                                       "captions (.txt, or .json for several) and labels (.cls, with classes.txt).",
                                       *arguments);
  pack_command->add_option("output", arguments->output, "the folder to write into")->option_text("DIR")->required();
  pack_command->add_option("--per-shard", arguments->per_shard, "samples in a shard (default: 10000)")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  pack_command
      ->add_option("--on-error", arguments->on_error,
                   "stop (default), or skip samples that cannot be read (exit code 1)")
      ->option_text("stop|skip")
      ->check(CLI::IsMember({"stop", "skip"}));
  pack_command->footer("silc data pack photos/captions.csv shards");
  pack_command->callback(
      [arguments, &session] { session.command = [=, &session] { return pack(session, *arguments); }; });

  CLI::App* tokenizer = group->add_subcommand("tokenizer", "vocabularies from the captions of a dataset");
  tokenizer->require_subcommand(1);
  CLI::App* train_command = add_command(
      *tokenizer, "train",
      "learn a byte-pair encoding from captions\n\nThe file has CLIP's format: for the tokenizer clip_bpe's "
      "option vocabulary, and, packed, for open_clip's SimpleTokenizer(bpe_path). The same captions give the "
      "same bytes.",
      *arguments);
  train_command->get_option("--split")->description("a split; repeatable (default: train)");
  train_command->add_option("--output", arguments->output, "the file to write; packed where it ends in .gz")
      ->option_text("FILE")
      ->required();
  train_command
      ->add_option("--vocabulary", arguments->vocabulary,
                   "tokens, of which 514 are bytes, start and end, and the others learnt (default: 8192)")
      ->option_text("N")
      ->check(CLI::Range(int64_t{515}, int64_t{49408}));
  train_command
      ->add_option("--clean", arguments->clean,
                   "as clip_bpe's option clean, which must then be the same (default: lower)")
      ->option_text("lower|whitespace|canonicalize")
      ->check(CLI::IsMember({"lower", "whitespace", "canonicalize"}));
  train_command->footer("silc data tokenizer train photos/captions.csv --output captions.bpe.gz");
  train_command->callback(
      [arguments, &session] { session.command = [=, &session] { return train_tokenizer(session, *arguments); }; });
}

}  // namespace silc
